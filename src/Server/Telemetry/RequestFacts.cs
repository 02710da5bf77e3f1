using Microsoft.AspNetCore.Diagnostics;
using Whatsit.Inference;
using Whatsit.Inference.Catalog;
using Whatsit.Server.Predictions;

namespace Whatsit.Server.Telemetry;

/// <summary>What a request's log line, its span and the metrics tell beyond HTTP; the routes fill it in.</summary>
internal sealed class RequestFacts
{
    /// <summary>The model that was asked, as soon as it is leased: what a client made up never gets here.</summary>
    public Model? Model { get; set; }

    /// <summary>The answers so far.</summary>
    public List<Classification> Answers { get; } = [];

    /// <summary>Why there is no answer, or not to each picture: an <see cref="InferenceError"/>, or the like.</summary>
    public string? Failure { get; set; }

    /// <summary>The metrics have the failure already.</summary>
    public bool IsCounted { get; set; }
}

/// <summary>The endpoint answers pictures; how its requests end is counted.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class AnswersPicturesAttribute : Attribute;

internal static class RequestFactsExtensions
{
    /// <summary>The facts of a request.</summary>
    public static RequestFacts Facts(this HttpContext context)
    {
        if (context.Features.Get<RequestFacts>() is not { } facts)
        {
            context.Features.Set(facts = new());
        }

        return facts;
    }

    /// <summary>The endpoint that was chosen, even where it failed: the handler of exceptions takes it away.</summary>
    public static Endpoint? ChosenEndpoint(this HttpContext context) => context.GetEndpoint() ?? context.Features.Get<IExceptionHandlerFeature>()?.Endpoint;

    /// <summary>Classifies a picture of the request by the leased model, and remembers the answer.</summary>
    public static async Task<Classification> ClassifyAsync(this HttpContext context, ImageClassifier classifier, ReceivedFile file, ClassifyOptions options)
    {
        var facts = context.Facts();
        // Whatever happens in there, the classifier counts it.
        facts.IsCounted = true;
        var answer = await classifier.ClassifyAsync(facts.Model!, file.Memory, options, context.RequestAborted);
        facts.IsCounted = false;
        facts.Answers.Add(answer);
        return answer;
    }
}
