using Whatsit.Server.Compatibility.HuggingFace;
using Whatsit.Server.Compatibility.OpenInference;
using Whatsit.Server.Compatibility.TensorFlowServing;
using Whatsit.Server.Compatibility.TorchServe;
using Whatsit.Server.Compatibility.Tutorial;

namespace Whatsit.Server.Compatibility;

/// <summary>
/// The protocols of other servers, so that their clients work by changing a URL. Each has its routes and its way to say that something failed; all ask the same
/// classifier.
/// </summary>
internal static class Protocols
{
    /// <summary>How failures are said, by the beginning of the path. What is not here has problem details.</summary>
    private static readonly (string Path, Func<Refusal, HttpRequest, ProtocolFailure?> Shape)[] Shapes =
    [
        ("/v2", OpenInferenceApi.Fail),
        ("/v1", TensorFlowServingApi.Fail),
        ("/predictions", TorchServeApi.Fail),
        ("/ping", TorchServeApi.Fail),
        ("/api", TutorialApi.Fail),
    ];

    public static void MapProtocols(this WebApplication app)
    {
        app.MapOpenInference();
        app.MapTensorFlowServing();
        app.MapHuggingFace();
        app.MapTorchServe();
        app.MapTutorial();
    }

    /// <summary>A failure as the protocol says it that was spoken; nothing where it was none of these.</summary>
    public static ProtocolFailure? Fail(Refusal refusal, HttpRequest request)
    {
        foreach (var (path, shape) in Shapes)
        {
            if (request.Path.StartsWithSegments(path))
            {
                return shape(refusal, request);
            }
        }

        return HuggingFaceApi.Speaks(request) ? HuggingFaceApi.Fail(refusal, request) : null;
    }
}

/// <summary>A failure on the wire.</summary>
/// <param name="Status">The status code.</param>
/// <param name="Json">The body.</param>
internal sealed record ProtocolFailure(int Status, byte[] Json);
