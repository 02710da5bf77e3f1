using System.ComponentModel.DataAnnotations;

namespace Whatsit.Server.Management;

/// <summary>How the server ends. Configuration section <c>Shutdown</c>.</summary>
public sealed class ShutdownOptions : IValidatableObject
{
    /// <summary>
    /// Seconds for which the server, asked to end, still takes requests while <c>/health/ready</c> says 503 already: what balancers need to notice. The
    /// default is 0.
    /// </summary>
    [Range(0, 3600)]
    public double Delay { get; set; }

    /// <summary>
    /// Seconds, <see cref="Delay"/> included, until an upload that is still coming is given up with 503. Docker and Cloud Run kill after 10, Heroku after 30.
    /// The default is 8.
    /// </summary>
    [Range(0, 3600)]
    public double Seconds { get; set; } = 8;

    /// <inheritdoc/>
    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext) =>
        Delay > Seconds ? [new($"It must not be more than Shutdown:Seconds, which is {Seconds} and includes it.", [nameof(Delay)])] : [];
}

/// <summary>
/// The end, in order: readiness turns 503 · <see cref="ShutdownOptions.Delay"/> · no new connections · what was accepted is answered ·
/// <see cref="ShutdownOptions.Seconds"/> · uploads that are still coming are given up · the process ends with 0.
/// </summary>
internal sealed class Shutdown(ShutdownOptions options, IHostApplicationLifetime lifetime, TimeProvider time) : IHostedLifecycleService, IDisposable
{
    // What was accepted and is being computed when uploads are given up gets this much more; then connections are cut.
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(1);

    private readonly CancellationTokenSource _uploads = new();
    private ITimer? _timer;

    /// <summary>Somebody asked the server to end.</summary>
    public bool HasBegun => lifetime.ApplicationStopping.IsCancellationRequested;

    /// <summary>Cancelled when uploads that are still coming are given up.</summary>
    public CancellationToken Over => _uploads.Token;

    /// <summary>Uploads that are still coming are given up.</summary>
    public bool IsOver => _uploads.IsCancellationRequested;

    /// <summary>Adds the end to the host.</summary>
    public static void Add(WebApplicationBuilder builder)
    {
        builder.Services.AddSettings<ShutdownOptions>("Shutdown");
        builder.Services.AddOptions<HostOptions>().Configure<ShutdownOptions>(
            (host, shutdown) => host.ShutdownTimeout = TimeSpan.FromSeconds(shutdown.Seconds) + Grace);
        builder.Services.AddSingleton<Shutdown>();
        builder.Services.AddHostedService(services => services.GetRequiredService<Shutdown>());
    }

    /// <inheritdoc/>
    public Task StoppingAsync(CancellationToken cancellationToken)
    {
        _timer = time.CreateTimer(_ => _uploads.Cancel(), null, TimeSpan.FromSeconds(options.Seconds), Timeout.InfiniteTimeSpan);
        return Task.Delay(TimeSpan.FromSeconds(options.Delay), time, cancellationToken);
    }

    /// <inheritdoc/>
    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public void Dispose()
    {
        _timer?.Dispose();
        _uploads.Dispose();
    }
}
