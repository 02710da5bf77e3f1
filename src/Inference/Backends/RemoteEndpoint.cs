using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Microsoft.Extensions.Http.Resilience;
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
    private const int MostMetadata = 1024 * 1024;

    // Shorter ones say more about the client's patience than about the server.
    private static readonly TimeSpan Slow = TimeSpan.FromSeconds(10);
    private static readonly HttpRequestOptionsKey<TimeSpan> Within = new("within");

    private readonly ModelManifest _manifest;
    private readonly HttpClient _http;
    private readonly CircuitBreakerStateProvider _circuit = new();
    private readonly TimeSpan _patience;
    private readonly string _path;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private int _outstanding;
    private string? _problem = "It has not been asked yet.";

    public RemoteEndpoint(Uri address, ModelManifest manifest, RemoteOptions options, TimeProvider time, ILogger logger)
    {
        (Address, _manifest, _time, _logger) = (address, manifest, time, logger);
        _patience = TimeSpan.FromSeconds(Math.Max(options.ReadySeconds, LeastPatience));
        var remote = manifest.Remote!;
        _path = $"v2/models/{Uri.EscapeDataString(remote.Model ?? manifest.Name)}"
            + (remote.Version is null ? "" : $"/versions/{Uri.EscapeDataString(remote.Version)}");
        var pipeline = new ResiliencePipelineBuilder<HttpResponseMessage> { TimeProvider = time }
            .AddCircuitBreaker(new HttpCircuitBreakerStrategyOptions
            {
                FailureRatio = 0.5,
                MinimumThroughput = 8,
                SamplingDuration = TimeSpan.FromSeconds(10),
                BreakDuration = TimeSpan.FromSeconds(2),
                StateProvider = _circuit,
                // Busy, not ready and late are answers; 4xx are about the request.
                ShouldHandle = args => ValueTask.FromResult(args.Outcome.Exception is HttpRequestException
                    || IsUnreached(args.Outcome.Exception)
                    || args.Outcome.Exception is TimeoutRejectedException { Timeout: var waited } && waited >= Slow
                    || args.Outcome.Result is { StatusCode: HttpStatusCode.InternalServerError or HttpStatusCode.BadGateway }),
            })
            .AddTimeout(new HttpTimeoutStrategyOptions
            {
                TimeoutGenerator = args => ValueTask.FromResult(
                    args.Context.GetRequestMessage() is { } request && request.Options.TryGetValue(Within, out var within) ? within : _patience),
            })
            .Build();
        _http = new HttpClient(new ResilienceHandler(pipeline)
        {
            InnerHandler = new SocketsHttpHandler
            {
                AllowAutoRedirect = false,
                UseCookies = false,
                UseProxy = false,
                ConnectTimeout = TimeSpan.FromSeconds(2),
                // Names may mean other machines tomorrow.
                PooledConnectionLifetime = TimeSpan.FromMinutes(5),
            },
        })
        {
            BaseAddress = new Uri(address.AbsoluteUri.TrimEnd('/') + "/"),
            Timeout = Timeout.InfiniteTimeSpan,
            DefaultRequestVersion = HttpVersion.Version20,
            DefaultVersionPolicy = HttpVersionPolicy.RequestVersionOrLower,
        };
        if (options.ApiKey is { Length: > 0 } key)
        {
            _http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        }
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
        var metadata = await GetAsync(_path, cancellationToken).ConfigureAwait(false)
            ?? throw NotReady($"It says nothing at /{_path}.");
        try
        {
            return RemoteContract.Read(
                _manifest,
                metadata,
                await GetAsync(_path + "/config", cancellationToken).ConfigureAwait(false),
                await GetAsync("v2", cancellationToken).ConfigureAwait(false));
        }
        catch (Exception exception)
            when (exception is InvalidOperationException or KeyNotFoundException or FormatException or OverflowException or ArgumentException)
        {
            throw NotReady($"What it says at /{_path} is no model's metadata.");
        }
    }

    /// <summary>Asks whether the model is ready there.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceError.ModelNotReady"/>: it is not.</exception>
    public async Task CheckReadyAsync(CancellationToken cancellationToken)
    {
        using var response = await SendAsync(_path + "/ready", cancellationToken).ConfigureAwait(false);
        if (response.StatusCode != HttpStatusCode.OK)
        {
            throw NotReady($"It answers {(int)response.StatusCode} to /{_path}/ready.");
        }
    }

    /// <summary>Has it compute.</summary>
    /// <returns>Nothing where the tensors are filled; else why it did not even begin, so that another may be asked.</returns>
    /// <exception cref="InferenceException">It failed, or was too late.</exception>
    public async Task<InferenceException?> InferAsync(RemoteContract contract, IReadOnlyList<RemoteTensors> batch, string[] outputs, TimeSpan within)
    {
        using var deadline = new CancellationTokenSource(within, _time);
        using var request = new HttpRequestMessage(HttpMethod.Post, _path + "/infer") { Content = RemoteMessages.Ask(contract, batch, outputs, within) };
        request.Options.Set(Within, within);
        Interlocked.Add(ref _outstanding, batch.Count);
        try
        {
            // Without the deadline, which would come first: a server that says nothing is late by the pipeline's, and that counts.
            using var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, CancellationToken.None).ConfigureAwait(false);
            if (response.StatusCode == HttpStatusCode.OK)
            {
                await RemoteMessages.ReadAsync(contract, response, batch, outputs, deadline.Token).ConfigureAwait(false);
                return null;
            }

            var status = (int)response.StatusCode;
            var error = await RemoteMessages.ReadErrorAsync(response, deadline.Token).ConfigureAwait(false);
            var said = error is null ? $"answered {status}" : $"answered {status}: {error}";
            switch (response.StatusCode)
            {
                case HttpStatusCode.TooManyRequests:
                    return new(InferenceError.QueueFull, $"The server that computes the model '{_manifest.Name}' {said}");
                case HttpStatusCode.ServiceUnavailable:
                    Problem = $"It {said}";
                    return new(InferenceError.ModelNotReady, $"The server that computes the model '{_manifest.Name}' {said}");
                case HttpStatusCode.GatewayTimeout:
                    throw TooLate();
                case HttpStatusCode.NotFound or HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden:
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

    public void Dispose() => _http.Dispose();

    private async Task<JsonElement?> GetAsync(string path, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(path, cancellationToken).ConfigureAwait(false);
        if (response.StatusCode != HttpStatusCode.OK)
        {
            return null;
        }

        try
        {
            using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            patience.CancelAfter(_patience);
            var body = await RemoteMessages.ReadBodyAsync(response.Content, MostMetadata, patience.Token).ConfigureAwait(false);
            using var json = JsonDocument.Parse(body);
            return json.RootElement.Clone();
        }
        catch (Exception exception) when (exception is JsonException or InvalidDataException)
        {
            return null;
        }
        catch (Exception exception)
            when (exception is HttpRequestException or IOException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            throw NotReady($"Its answer to /{path} did not come to an end.");
        }
    }

    private async Task<HttpResponseMessage> SendAsync(string path, CancellationToken cancellationToken)
    {
        try
        {
            return await _http.GetAsync(new Uri(path, UriKind.Relative), HttpCompletionOption.ResponseHeadersRead, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutRejectedException)
        {
            throw NotReady($"It does not answer /{path} within {_patience.TotalSeconds:0.##} seconds.");
        }
        catch (BrokenCircuitException)
        {
            throw NotReady("It has failed too often and is given a pause.");
        }
        catch (Exception exception) when (exception is HttpRequestException || IsUnreached(exception))
        {
            throw NotReady("It cannot be reached.");
        }
    }

    /// <summary>No connection came about, so nothing was sent. Where that took too long, it is said as if the caller had left, with what it was inside.</summary>
    private static bool IsUnreached(Exception? exception) => exception is HttpRequestException failed
        ? failed.HttpRequestError is HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError or HttpRequestError.SecureConnectionError
        : exception is OperationCanceledException { InnerException: TimeoutException };

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
