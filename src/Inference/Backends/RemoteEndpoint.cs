using System.Net;
using System.Net.Http.Headers;
using Microsoft.Extensions.Logging;
using Polly;
using Polly.CircuitBreaker;
using Polly.Timeout;
using Whatsit.Inference.Catalog;

namespace Whatsit.Inference.Backends;

/// <summary>One server that computes a model: whether it is ready, what it is asked now, and its circuit breaker.</summary>
internal sealed partial class RemoteEndpoint : IDisposable
{
    // Seconds: a server under load answers late, and that is no reason to leave it to the others' load.
    private const double LeastPatience = 2;

    // Shorter ones say more about the client's patience than about the server.
    private static readonly TimeSpan Slow = TimeSpan.FromSeconds(10);
    private static readonly ResiliencePropertyKey<TimeSpan> Within = new("within");

    private readonly ModelManifest _manifest;
    private readonly IRemoteTransport _transport;
    private readonly ResiliencePipeline<RemoteReply> _calls;
    private readonly CircuitBreakerStateProvider _circuit = new();
    private readonly TimeSpan _patience;
    private readonly ILogger _logger;
    private int _outstanding;
    private string? _problem = "It has not been asked yet.";

    public RemoteEndpoint(Uri address, ModelManifest manifest, RemoteOptions options, TimeProvider time, ILogger logger)
    {
        (Address, _manifest, _logger) = (address, manifest, logger);
        _patience = TimeSpan.FromSeconds(Math.Max(options.ReadySeconds, LeastPatience));
        _calls = new ResiliencePipelineBuilder<RemoteReply> { TimeProvider = time }
            .AddCircuitBreaker(new CircuitBreakerStrategyOptions<RemoteReply>
            {
                FailureRatio = 0.5,
                MinimumThroughput = 8,
                SamplingDuration = TimeSpan.FromSeconds(10),
                BreakDuration = TimeSpan.FromSeconds(2),
                StateProvider = _circuit,
                // Busy, not ready and late are answers; what it rejects is about the request.
                ShouldHandle = args => ValueTask.FromResult(args.Outcome.Exception is HttpRequestException or IOException
                    || IsUnreached(args.Outcome.Exception)
                    || args.Outcome.Exception is TimeoutRejectedException { Timeout: var waited } && waited >= Slow
                    || args.Outcome.Result is { Outcome: RemoteOutcome.Failed }),
            })
            .AddTimeout(new TimeoutStrategyOptions
            {
                TimeoutGenerator = args => ValueTask.FromResult(args.Context.Properties.GetValue(Within, _patience)),
            })
            .Build();
        var (http, model) = (Client(options), manifest.Remote!.Model ?? manifest.Name);
        _transport = GrpcTransport.Speaks(address) ? new GrpcTransport(http, address, manifest.Remote, model)
            : new HttpTransport(http, address, manifest.Remote, model);
    }

    public Uri Address { get; }

    /// <summary>Pictures that it has been sent and has not answered.</summary>
    public int Outstanding => Volatile.Read(ref _outstanding);

    /// <summary>Why it is not asked now; nothing where it is.</summary>
    public string? Problem
    {
        get => Volatile.Read(ref _problem);
        set
        {
            var before = Interlocked.Exchange(ref _problem, value);
            if (value is null && before is not null)
            {
                Log.Found(_logger, _manifest.Name, Address.AbsoluteUri);
            }
            else if (value is not null && before is null)
            {
                Log.Lost(_logger, _manifest.Name, Address.AbsoluteUri, value);
            }
        }
    }

    /// <summary>It may be asked.</summary>
    public bool IsReady => Problem is null && _circuit.CircuitState is CircuitState.Closed or CircuitState.HalfOpen;

    /// <summary>Asks whether the model is ready there, and what it is.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceError.ModelNotReady"/>: it is not, or is another one.</exception>
    public async Task<RemoteContract> DescribeAsync(CancellationToken cancellationToken)
    {
        await CheckReadyAsync(cancellationToken).ConfigureAwait(false);
        var route = _transport.MetadataRoute;
        try
        {
            var reply = await AskAsync(route, _transport.DescribeAsync, cancellationToken).ConfigureAwait(false);
            return RemoteContract.Read(_manifest, reply.Metadata ?? throw NotReady($"It says nothing at {route}."));
        }
        catch (Exception exception)
            when (exception is InvalidOperationException or KeyNotFoundException or FormatException or OverflowException or ArgumentException)
        {
            throw NotReady($"What it says at {route} is no model's metadata.");
        }
    }

    /// <summary>Asks whether the model is ready there.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceError.ModelNotReady"/>: it is not.</exception>
    public async Task CheckReadyAsync(CancellationToken cancellationToken)
    {
        var reply = await AskAsync(_transport.ReadyRoute, _transport.CheckReadyAsync, cancellationToken).ConfigureAwait(false);
        if (reply.Outcome != RemoteOutcome.Done)
        {
            throw NotReady($"It answers {reply.Status.TrimEnd('.')} to {_transport.ReadyRoute}.");
        }
    }

    /// <summary>Has it compute.</summary>
    /// <returns>Nothing where the tensors are filled; else why it did not even begin, so that another may be asked.</returns>
    /// <exception cref="InferenceException">It failed, or was too late.</exception>
    public async Task<InferenceException?> InferAsync(RemoteContract contract, IReadOnlyList<RemoteTensors> batch, string[] outputs, TimeSpan within)
    {
        Interlocked.Add(ref _outstanding, batch.Count);
        try
        {
            var reply = await CallAsync(token => _transport.InferAsync(contract, batch, outputs, within, token), within, CancellationToken.None)
                .ConfigureAwait(false);
            var said = $"answered {reply.Status}";
            switch (reply.Outcome)
            {
                case RemoteOutcome.Done:
                    return null;
                case RemoteOutcome.Busy:
                    return new(InferenceError.QueueFull, $"The server that computes the model '{_manifest.Name}' {said}");
                case RemoteOutcome.NotReady:
                    Problem = $"It {said}";
                    return new(InferenceError.ModelNotReady, $"The server that computes the model '{_manifest.Name}' {said}");
                case RemoteOutcome.Late:
                    throw TooLate();
                case RemoteOutcome.Refused:
                    Problem = $"It {said}";
                    throw Failed(said);
                default:
                    throw Failed(said);
            }
        }
        catch (BrokenCircuitException)
        {
            return new(InferenceError.ModelNotReady, $"The server that computes the model '{_manifest.Name}' has failed too often and is given a pause.");
        }
        catch (Exception exception) when (IsUnreached(exception))
        {
            Problem = "It cannot be reached.";
            return new(InferenceError.ModelNotReady, $"The server that computes the model '{_manifest.Name}' cannot be reached.", exception);
        }
        catch (InvalidDataException exception)
        {
            throw Failed($"gave another answer than it was asked for: {exception.Message}", exception);
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException)
        {
            // It may have begun, and what ended it might end the next one: asked again is who is ready to say so.
            Problem = "It broke off.";
            throw Failed("broke off before it had answered", exception);
        }
        catch (Exception exception) when (exception is TimeoutRejectedException or OperationCanceledException)
        {
            throw TooLate(exception);
        }
        finally
        {
            Interlocked.Add(ref _outstanding, -batch.Count);
        }
    }

    public void Dispose() => _transport.Dispose();

    /// <summary>A question about the model or the server, which all have the same patience.</summary>
    private async Task<RemoteReply> AskAsync(string route, Func<CancellationToken, Task<RemoteReply>> ask, CancellationToken cancellationToken)
    {
        try
        {
            return await CallAsync(ask, _patience, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutRejectedException)
        {
            throw NotReady($"It does not answer {route} within {Counted.Of(_patience.TotalSeconds, "second")}.");
        }
        catch (BrokenCircuitException)
        {
            throw NotReady("It has failed too often and is given a pause.");
        }
        catch (InvalidDataException exception)
        {
            throw NotReady($"What it says at {route} is none: {exception.Message}.");
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException || IsUnreached(exception))
        {
            throw NotReady("It cannot be reached.");
        }
    }

    private async Task<RemoteReply> CallAsync(Func<CancellationToken, Task<RemoteReply>> call, TimeSpan within, CancellationToken cancellationToken)
    {
        var context = ResilienceContextPool.Shared.Get(cancellationToken);
        context.Properties.Set(Within, within);
        try
        {
            return await _calls.ExecuteAsync(async context => await call(context.CancellationToken).ConfigureAwait(false), context).ConfigureAwait(false);
        }
        finally
        {
            ResilienceContextPool.Shared.Return(context);
        }
    }

    private static HttpClient Client(RemoteOptions options)
    {
        var http = new HttpClient(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            UseProxy = false,
            ConnectTimeout = TimeSpan.FromSeconds(2),
            // Names may mean other machines tomorrow.
            PooledConnectionLifetime = TimeSpan.FromMinutes(5),
        })
        {
            Timeout = Timeout.InfiniteTimeSpan,
            DefaultRequestVersion = HttpVersion.Version20,
            DefaultVersionPolicy = HttpVersionPolicy.RequestVersionOrLower,
        };
        if (options.ApiKey is { Length: > 0 } key)
        {
            http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        }

        return http;
    }

    /// <summary>No connection came about, so nothing was sent. Where that took too long, it is said as if the caller had left, with what it was inside.</summary>
    private static bool IsUnreached(Exception? exception) => exception is HttpRequestException failed
        ? failed.HttpRequestError is HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError or HttpRequestError.SecureConnectionError
        : exception is OperationCanceledException { InnerException: TimeoutException or OperationCanceledException { InnerException: TimeoutException } };

    private static InferenceException NotReady(string sentence) => new(InferenceError.ModelNotReady, sentence);

    private InferenceException Failed(string what, Exception? cause = null) =>
        new(InferenceError.UpstreamFailed, $"The server that computes the model '{_manifest.Name}' {what.TrimEnd('.')}.", cause);

    private InferenceException TooLate(Exception? cause = null) =>
        new(InferenceError.TimedOut, $"The server that computes the model '{_manifest.Name}' did not answer in time.", cause);

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Information, Message = "Model {Model} is asked for at {Endpoint}")]
        public static partial void Found(ILogger logger, string model, string endpoint);

        [LoggerMessage(Level = LogLevel.Warning, Message = "Model {Model} is not asked for at {Endpoint}: {Problem}")]
        public static partial void Lost(ILogger logger, string model, string endpoint, string problem);
    }
}
