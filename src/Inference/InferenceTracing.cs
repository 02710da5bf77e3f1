using System.Diagnostics;

namespace Whatsit.Inference;

/// <summary>
/// The spans of the core: decode, preprocess, queue, compute, each a child of the caller's current activity. Where nobody listens, and where there is no
/// activity to belong to, there are none, and they cost nothing.
/// </summary>
public static class InferenceTracing
{
    /// <summary>The source's name, for listeners.</summary>
    public const string SourceName = "Whatsit";

    private static readonly ActivitySource Source = new(SourceName);

    /// <summary>Begins a stage: <see cref="Stage.Stop"/> it when it is done; disposed before, it has failed.</summary>
    internal static Stage Start(string stage) => new(Parent is null ? null : Source.StartActivity(stage));

    /// <summary>What a stage that runs on another thread belongs to.</summary>
    internal static ActivityContext? Parent => Source.HasListeners() ? Activity.Current?.Context : null;

    /// <summary>A stage that is over.</summary>
    /// <param name="stage">Its name.</param>
    /// <param name="parent">What it belongs to.</param>
    /// <param name="ended">When it ended, UTC.</param>
    /// <param name="duration">How long it took.</param>
    /// <param name="failed">Whether it did not do what it was for.</param>
    internal static void Record(string stage, ActivityContext parent, DateTime ended, TimeSpan duration, bool failed)
    {
        if (Source.StartActivity(stage, ActivityKind.Internal, parent, startTime: ended - duration) is { } span)
        {
            span.SetStatus(failed ? ActivityStatusCode.Error : ActivityStatusCode.Unset).SetEndTime(ended).Dispose();
        }
    }

    /// <summary>A stage under way, perhaps with nobody listening.</summary>
    internal readonly struct Stage(Activity? span) : IDisposable
    {
        /// <summary>It is done.</summary>
        public void Stop() => span?.Stop();

        /// <inheritdoc/>
        public void Dispose()
        {
            if (span is { IsStopped: false })
            {
                span.SetStatus(ActivityStatusCode.Error).Stop();
            }
        }
    }
}
