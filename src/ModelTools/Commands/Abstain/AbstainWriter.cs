using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using Whatsit.Inference.Catalog;
using Whatsit.ModelConversion.Training;

namespace Whatsit.ModelTools.Commands.Abstain;

/// <summary>What was chosen and measured, as a bundle holds it and as people read it.</summary>
internal static class AbstainWriter
{
    /// <summary>The file of what the score compares with.</summary>
    public const string VectorsFile = "abstain.f32";

    private const string Title = "## When it does not know\n\n";

    /// <summary>Writes what the score compares with beside the network, and answers the manifest's entry.</summary>
    public static AbstainSpec Write(AbstainChoice choice, int photos, int others, string folder, string file = VectorsFile)
    {
        BundleFile? vectors = null;
        if (choice.Vectors is not null)
        {
            File.WriteAllBytes(Path.Combine(folder, file), MemoryMarshal.AsBytes(choice.Vectors.AsSpan()));
            vectors = Bundle.Describe(folder, file);
        }

        var measured = new JsonObject { ["photos"] = photos, ["refused"] = Math.Round(choice.Refused, 4), ["others"] = others };
        if (choice.Chosen.Auroc is { } auroc)
        {
            measured["auroc"] = Math.Round(auroc, 4);
            measured["others_labelled"] = Math.Round(choice.Chosen.OthersLabelled!.Value, 4);
            measured["auroc_by_score"] = new JsonObject(choice.Candidates.Select(candidate =>
                KeyValuePair.Create(Name(candidate.Score), (JsonNode?)Math.Round(candidate.Auroc!.Value, 4))));
        }

        return new AbstainSpec(choice.Chosen.Threshold)
        {
            Score = choice.Chosen.Score,
            Vectors = vectors,
            ResidualWeight = choice.ResidualWeight,
            Percentiles = choice.Percentiles,
            Measured = JsonSerializer.SerializeToElement(measured),
        };
    }

    /// <summary>Takes out of a manifest what was measured of its threshold, which becomes another one; what was measured of the score stays.</summary>
    public static void ForgetThreshold(JsonObject manifest)
    {
        if (manifest["abstain"]?["measured"] is JsonObject measured)
        {
            measured.Remove("refused");
            measured.Remove("others_labelled");
        }
    }

    /// <summary>The score as the manifest spells it.</summary>
    public static string Name(AbstainScore score) => JsonSerializer.Serialize(score, ManifestJson.Default.AbstainScore).Trim('"');

    /// <summary>The score in words.</summary>
    public static string Describe(AbstainScore score) => score switch
    {
        AbstainScore.Probability => "the largest probability",
        AbstainScore.Logit => "the largest logit",
        AbstainScore.Energy => "the energy of the logits",
        AbstainScore.ClassMean => "the cosine to the most similar class in the embedding",
        AbstainScore.VirtualLogit => "the cosine to the most similar class in the embedding less its part that no known photo has",
        _ => "the cosine to the most similar known photo in the embedding",
    };

    /// <summary>Brings the card's part up to date, and leaves the rest as it is.</summary>
    public static void UpdateCard(string folder, ModelManifest manifest) => CardSection.Put(folder, manifest, Title, Section(manifest));

    /// <summary>When the model abstains, what that was measured to do, and what it cannot: a part of the card.</summary>
    public static string Section(ModelManifest manifest)
    {
        if (manifest.Abstain is not { } abstain)
        {
            return Title + "It always answers: nobody has told it what a picture of something else looks like. `whatsit abstain` does that.\n";
        }

        var text = $"{Title}It says \"not sure\" where {Describe(abstain.Score)} is under {abstain.Threshold:0.####}.";
        if (abstain.Measured is { } measured)
        {
            if (measured.TryGetProperty("refused", out _))
            {
                text += $" On {Photos("photos")} photos of its classes that refused {Share("refused")}.";
            }

            if (measured.TryGetProperty("auroc", out var auroc))
            {
                var labelled = measured.TryGetProperty("others_labelled", out _) ? $", {Share("others_labelled")} of which got a label all the same" : "";
                text += $" It is surer of its classes than of {Photos("others")} photos of other things{labelled} (AUROC {auroc.GetDouble():0.000}).";
            }

            string Photos(string name) => measured.GetProperty(name).GetInt32().ToString("N0", CultureInfo.InvariantCulture);

            string Share(string name) => measured.GetProperty(name).GetDouble().ToString("0.0 %", CultureInfo.InvariantCulture);
        }

        return text + "\n\nThis tells apart pictures that have nothing to do with the classes. It does not see a mistake between two classes, and hardly a " +
            "thing of the same kind that it was never shown: an unknown fruit looks like a fruit.\n";
    }
}
