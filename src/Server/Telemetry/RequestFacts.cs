using Microsoft.AspNetCore.Diagnostics;
using Whatsit.Inference;
using Whatsit.Inference.Catalog;

namespace Whatsit.Server.Telemetry;

/// <summary>What a request's log line, its span and the metrics tell beyond HTTP; the routes fill it in.</summary>
internal sealed class RequestFacts
{
    /// <summary>The model that was asked, as soon as it is leased: what a client made up never gets here.</summary>
    public Model? Model { get; set; }

    /// <summary>How long the request waited until that was loaded; the first answer takes it.</summary>
    public TimeSpan Loading { get; private set; }

    /// <summary>A model was leased.</summary>
    public void Take(ModelLease lease) => (Model, Loading) = (lease.Model, Loading + lease.Loading);

    /// <summary>The wait for the model belongs to the request's first answer.</summary>
    public T Timed<T>(T answer)
        where T : Answer
    {
        var loading = Loading;
        Loading = TimeSpan.Zero;
        return loading == TimeSpan.Zero ? answer
            : answer with { Timings = answer.Timings with { Load = loading, Total = answer.Timings.Total + loading } };
    }

    /// <summary>The answers so far.</summary>
    public List<Answer> Answers { get; } = [];

    /// <summary>Why there is no answer, or not to each picture: an <see cref="InferenceError"/>, or the like.</summary>
    public string? Failure { get; set; }

    /// <summary>The status that a failure has where HTTP's own says nothing: over gRPC that is always 200.</summary>
    public int? Status { get; set; }

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

    /// <summary>How the request ended, in HTTP's words, whatever the protocol.</summary>
    public static int EndStatus(this HttpContext context) => context.Facts().Status ?? context.Response.StatusCode;

    /// <summary>The endpoint that was chosen, even where it failed: the handler of exceptions takes it away.</summary>
    public static Endpoint? ChosenEndpoint(this HttpContext context) => context.GetEndpoint() ?? context.Features.Get<IExceptionHandlerFeature>()?.Endpoint;

    /// <summary>Classifies a picture of the request by the leased model, and remembers the answer.</summary>
    public static async Task<Classification> ClassifyAsync(this HttpContext context, ImageClassifier classifier, ReadOnlyMemory<byte> file,
        ClassifyOptions options)
    {
        var facts = context.Facts();
        // Whatever happens in there, the classifier counts it.
        facts.IsCounted = true;
        var answer = facts.Timed(await classifier.ClassifyAsync(facts.Model!, file, options, context.RequestAborted));
        facts.IsCounted = false;
        facts.Answers.Add(answer);
        return answer;
    }

    /// <summary>Asks the leased model for outputs of its graph, for each picture or tensor of the request, and remembers the answers.</summary>
    /// <returns>The answers, in the order of what was sent.</returns>
    public static async Task<TensorAnswer[]> InferAsync(this HttpContext context, ImageClassifier classifier, IReadOnlyList<ModelInput> batch,
        IReadOnlyList<string> outputs, TimeSpan? within)
    {
        var facts = context.Facts();
        facts.IsCounted = true;
        var answers = new TensorAnswer[batch.Count];
        var next = -1;
        // As many at once as can be computed at once: one request must not fill the queue.
        var workers = Math.Min(batch.Count, Environment.ProcessorCount);
        await Task.WhenAll(Enumerable.Range(0, workers).Select(_ => workers == 1 ? WorkAsync() : Task.Run(WorkAsync)));
        facts.IsCounted = false;
        answers[0] = facts.Timed(answers[0]);
        facts.Answers.AddRange(answers);
        return answers;

        async Task WorkAsync()
        {
            try
            {
                while (Interlocked.Increment(ref next) is var index && index < batch.Count)
                {
                    answers[index] = await classifier.InferAsync(facts.Model!, batch[index], outputs, within, context.RequestAborted);
                }
            }
            catch
            {
                // One answer fails with all the others; those that have not begun need not.
                Volatile.Write(ref next, batch.Count);
                throw;
            }
        }
    }
}
