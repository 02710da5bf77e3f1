namespace Whatsit.Inference.Catalog;

/// <summary>Ready means proven: at load a model classifies its own sample and must give its own recorded answer. That is also the warm-up.</summary>
public static class SelfTest
{
    /// <summary>Classifies the sample and compares.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceError.ModelNotReady"/>, naming the first difference.</exception>
    public static async Task RunAsync(Model model, ImageClassifier classifier, CancellationToken cancellationToken)
    {
        if (model.Manifest.Sample is not { Predictions.Count: > 0 } sample)
        {
            return;
        }

        var file = model.Files.Read(sample.File);
        var answer = await classifier.ClassifyAsync(model, file, new ClassifyOptions(model.Classes.Count), Timeout.InfiniteTimeSpan, cancellationToken)
            .ConfigureAwait(false);
        var recorded = model.Manifest.Files.GetValueOrDefault(model.Variant)?.Predictions ?? sample.Predictions;
        foreach (var expected in recorded)
        {
            var actual = answer.Predictions.FirstOrDefault(prediction => prediction.Index == expected.Index)
                ?? throw Failed(model, $"the recorded class {expected.Index} does not exist");
            // Confidences lie between 0 and 1, so one tolerance serves all.
            if (!(Math.Abs(actual.Confidence - expected.Confidence) <= sample.Tolerance))
            {
                throw Failed(model,
                    $"'{actual.Label}' got {actual.Confidence:0.0000}, the recorded answer is {expected.Confidence:0.0000} ± {sample.Tolerance:0.####}");
            }
        }

        if (answer.Predictions[0].Index != recorded[0].Index
            && answer.Predictions[0].Confidence - answer.Predictions.First(prediction => prediction.Index == recorded[0].Index).Confidence > sample.Tolerance)
        {
            throw Failed(model, $"the best label is '{answer.Predictions[0].Label}', the recorded one is '{recorded[0].Label}'");
        }
    }

    private static InferenceException Failed(Model model, string why) =>
        new(InferenceError.ModelNotReady, $"The model '{model.Manifest.Name}' ({model.Variant}) does not give its recorded answer: {why}.");
}
