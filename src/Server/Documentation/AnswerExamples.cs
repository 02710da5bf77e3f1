using System.Text.Json;
using System.Text.Json.Nodes;
using Whatsit.Inference.Explaining;
using Whatsit.Server.Predictions;

namespace Whatsit.Server.Documentation;

/// <summary>What <c>POST /predict</c> answers, case by case.</summary>
internal static class AnswerExamples
{
    private static readonly PredictionResponse Labels = new(
        "grocery",
        "2",
        "int8",
        [new("Granny Smith apple", 1, 0.9946853f), new("Golden Delicious apple", 0, 0.003553027f)],
        Abstained: false,
        Explanation: null,
        new(256, 256, "png", 158_031),
        new(3.71, 1.674, 0.136, 5.725, 11.324),
        Warnings: null);

    public static IReadOnlyList<(string Name, string Summary, JsonNode Answer)> All { get; } =
    [
        ("labels", "One picture", Json(Labels)),
        ("explained", "With explain=true", Json(Labels with
        {
            Predictions = [Labels.Predictions[0] with { Map = [[0, 0.4512f], [0.2077f, 1]] }],
            Explanation = new(Explanation.ClassActivation, 0),
        })),
        ("warned", "With everything that a warning may say", Json(Labels with { Warnings = ProblemExamples.Warnings })),
        ("several", "Several pictures", JsonSerializer.SerializeToNode(new PredictionsResponse(
            [
                PredictionResult.From(Labels, "apple.png"),
                new() { File = "photo.heic", Error = ProblemExamples.Refusals["unsupported-image"].ToProblem() },
            ]), ReadableJson.Predictions.PredictionsResponse)!),
    ];

    private static JsonNode Json(PredictionResponse answer) => JsonSerializer.SerializeToNode(answer, ReadableJson.Predictions.PredictionResponse)!;
}
