namespace Whatsit.Inference.Postprocessing;

/// <summary>The k largest of a model's outputs.</summary>
public static class TopK
{
    /// <summary>
    /// Writes the indexes of the largest scores, largest first, into <paramref name="indexes"/>; of equal scores the lower index comes first, as in
    /// <c>numpy.argsort(-scores, kind="stable")</c>. One pass with a short sorted list: k is small.
    /// </summary>
    public static void Select(ReadOnlySpan<float> scores, Span<int> indexes)
    {
        if (indexes.Length > scores.Length)
        {
            throw new ArgumentException($"Top {indexes.Length} of {scores.Length} scores were asked for.", nameof(indexes));
        }

        var found = 0;
        for (var index = 0; index < scores.Length; index++)
        {
            var score = scores[index];
            if (found == indexes.Length && (found == 0 || !(score > scores[indexes[^1]])))
            {
                continue;
            }

            var place = found < indexes.Length ? found++ : found - 1;
            while (place > 0 && score > scores[indexes[place - 1]])
            {
                indexes[place] = indexes[place - 1];
                place--;
            }

            indexes[place] = index;
        }
    }
}
