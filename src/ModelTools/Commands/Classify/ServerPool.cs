using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Nodes;
using Whatsit.Inference;
using Whatsit.Server.Predictions;

namespace Whatsit.ModelTools.Commands.Classify;

/// <summary>
/// Servers that are asked by what each can do:
/// <code>
///   photo ──► the server with the most room ──► answered: its window grows
///     ▲           │ 429, 503: its window is halved, and it is left alone for as long as Retry-After says
///     │           │ no connection: it is left alone for 1, 2, 4, … seconds
///     └───────────┘ the photo is asked again, of whichever server has room then
/// </code>
/// A window is how many photos a server is asked about at once. The faster one gives back its room sooner, and so gets more.
/// </summary>
internal sealed class ServerPool : IAsked, IDisposable
{
    // The first window, and the largest that it grows to.
    private const int First = 4, Most = 32;

    // A server that is restarted is back within half a minute: 1 + 2 + 4 + 8 + 16 seconds.
    private const int GoneAfter = 6, LongestPause = 30;

    // How often a photo is asked again that a server failed on, and for each server one whose connection ended: perhaps the photo is what ends it.
    private const int Failures = 3, LostConnections = 8;

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);
    private static readonly HashSet<string> Wrong = ["invalid-parameter", "model-not-found", "route-not-found", "api-key-needed", "method-not-allowed"];

    private readonly Lock _lock = new();
    private readonly Remote[] _servers;
    private readonly string _query;
    private readonly HttpClient _http;
    private readonly TimeProvider _time;
    private TaskCompletionSource _roomAgain = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private string? _stopped;

    /// <summary>Knows the servers; asks none yet.</summary>
    /// <param name="servers">Where they are, each with its path prefix.</param>
    /// <param name="model">The model's name; their default one where there is none.</param>
    /// <param name="topK">How many labels.</param>
    /// <param name="key">The API key, where they ask for one.</param>
    /// <param name="handler">Carries the requests; the usual one where there is none.</param>
    /// <param name="time">The clock.</param>
    public ServerPool(IReadOnlyList<Uri> servers, string? model, int? topK, string? key, HttpMessageHandler? handler = null, TimeProvider? time = null)
    {
        _servers = [.. servers.Select(server => new Remote(server))];
        (string Name, string? Value)[] fields = [("model", model), ("topK", topK?.ToString(CultureInfo.InvariantCulture))];
        _query = string.Join('&', fields.Where(field => field.Value is not null).Select(field => $"{field.Name}={Uri.EscapeDataString(field.Value!)}"));
        _http = new HttpClient(handler ?? new SocketsHttpHandler { MaxConnectionsPerServer = Most, PooledConnectionLifetime = TimeSpan.FromMinutes(5) })
        {
            Timeout = Patience,
        };
        if (key is not null)
        {
            _http.DefaultRequestHeaders.Add("X-Api-Key", key);
        }

        _time = time ?? TimeProvider.System;
    }

    /// <inheritdoc/>
    public int AtOnce => _servers.Length * Most;

    /// <summary>How many photos each server has answered, in the order in which they were named.</summary>
    public IReadOnlyList<(Uri Server, long Answered)> Answered => [.. _servers.Select(server => (server.Address, server.Answered))];

    /// <summary>What is wrong with a server's address; nothing where nothing is.</summary>
    public static string? ProblemOf(string server) =>
        Uri.TryCreate(server, UriKind.Absolute, out var address) && address.Scheme is "http" or "https" ? null
        : $"--server is '{server}'; it must be a URL such as http://10.0.0.7:8080.";

    /// <inheritdoc/>
    public async Task<Classification> ClassifyAsync(NamedPhoto photo, CancellationToken cancellationToken)
    {
        byte[]? bytes = null;
        var (failures, lost) = (0, 0);
        while (true)
        {
            var server = await EnterAsync(cancellationToken);
            var asked = _time.GetTimestamp();
            try
            {
                bytes ??= await photo.ReadAsync(cancellationToken);
                using var content = new ByteArrayContent(bytes);
                content.Headers.ContentType = new MediaTypeHeaderValue("application/octet-stream");
                using var response = await _http.PostAsync(server.PredictWith(_query), content, cancellationToken);
                switch (response.StatusCode)
                {
                    case HttpStatusCode.OK:
                        var answer = await ReadAsync(server, response, cancellationToken);
                        Answers(server);
                        return answer;

                    case HttpStatusCode.TooManyRequests or HttpStatusCode.ServiceUnavailable:
                        IsBusy(server, asked, PauseOf(response.Headers.RetryAfter));
                        break;

                    case HttpStatusCode.RequestTimeout or >= HttpStatusCode.InternalServerError:
                        if (++failures == Failures)
                        {
                            throw new InferenceException(InferenceError.UpstreamFailed,
                                $"{server.Address} answered {await SayAsync(response, cancellationToken)}");
                        }

                        break;

                    default:
                        throw await RefusalAsync(server, response, cancellationToken);
                }
            }
            catch (Exception exception) when (exception is HttpRequestException or IOException and not RunStoppedException
                || (exception is TaskCanceledException && !cancellationToken.IsCancellationRequested))
            {
                IsAway(server, asked, exception.GetBaseException().Message);
                if (++lost == LostConnections * _servers.Length)
                {
                    throw new InferenceException(InferenceError.UpstreamFailed,
                        $"The connection ended {Counted.Of(lost, "time")} without an answer: {exception.GetBaseException().Message}");
                }
            }
            finally
            {
                Leave(server);
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _http.Dispose();

    private async Task<Remote> EnterAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            Task roomAgain;
            TimeSpan pause;
            lock (_lock)
            {
                if (_stopped is not null)
                {
                    throw new RunStoppedException(_stopped);
                }

                var now = _time.GetTimestamp();
                var best = _servers.Where(server => server.Outstanding < (int)server.Window && PauseLeft(server, now) <= TimeSpan.Zero)
                    .MinBy(server => server.Outstanding / server.Window);
                if (best is not null)
                {
                    best.Outstanding++;
                    return best;
                }

                roomAgain = _roomAgain.Task;
                var pauses = _servers.Select(server => PauseLeft(server, now)).Where(left => left > TimeSpan.Zero).ToArray();
                pause = pauses.Length > 0 ? pauses.Min() : Timeout.InfiniteTimeSpan;
            }

            using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            await Task.WhenAny(roomAgain, Task.Delay(pause, _time, ended.Token));
            await ended.CancelAsync();
        }
    }

    private TimeSpan PauseLeft(Remote server, long now) => server.Pause - _time.GetElapsedTime(server.PausedAt, now);

    private void Leave(Remote server)
    {
        lock (_lock)
        {
            server.Outstanding--;
            Signal();
        }
    }

    private void Answers(Remote server)
    {
        lock (_lock)
        {
            server.Answered++;
            server.Lost = 0;
            // One more for each window that was answered.
            server.Window = Math.Min(Most, server.Window + (1 / server.Window));
        }
    }

    private void IsBusy(Remote server, long asked, TimeSpan pause)
    {
        lock (_lock)
        {
            server.Lost = 0;
            // Those that were under way together are told the same.
            if (_time.GetElapsedTime(server.PausedAt, asked) >= TimeSpan.Zero)
            {
                server.Window = Math.Max(1, server.Window / 2);
            }

            PauseFor(server, pause);
        }
    }

    private void IsAway(Remote server, long asked, string why)
    {
        lock (_lock)
        {
            if (_time.GetElapsedTime(server.PausedAt, asked) >= TimeSpan.Zero)
            {
                server.Lost++;
                server.Window = First;
                server.Why = why;
                PauseFor(server, TimeSpan.FromSeconds(Math.Min(LongestPause, 1 << Math.Min(server.Lost - 1, 10))));
            }

            if (_servers.All(other => other.Lost >= GoneAfter))
            {
                _stopped = $"No server answers any more: {string.Join("; ", _servers.Select(other => $"{other.Address} ({other.Why})"))}";
                Signal();
            }
        }
    }

    private void PauseFor(Remote server, TimeSpan pause)
    {
        var now = _time.GetTimestamp();
        if (pause > PauseLeft(server, now))
        {
            (server.PausedAt, server.Pause) = (now, pause);
        }
    }

    private void Signal()
    {
        _roomAgain.TrySetResult();
        _roomAgain = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    /// <summary>https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3: seconds, or a date.</summary>
    private TimeSpan PauseOf(RetryConditionHeaderValue? retryAfter)
    {
        var pause = retryAfter switch
        {
            { Delta: { } seconds } => seconds,
            { Date: { } date } => date - _time.GetUtcNow(),
            _ => TimeSpan.FromSeconds(1),
        };
        // At once would be a loop; a day is a mistake.
        return TimeSpan.FromSeconds(Math.Clamp(pause.TotalSeconds, 0.1, 3600));
    }

    private static async Task<Classification> ReadAsync(Remote server, HttpResponseMessage response, CancellationToken cancellationToken)
    {
        try
        {
            var json = await JsonSerializer.DeserializeAsync<PredictionResponse>(await response.Content.ReadAsStreamAsync(cancellationToken),
                JsonSerializerOptions.Web, cancellationToken);
            if (json is { Predictions: [_, ..], Timing: not null, Image: not null })
            {
                return new()
                {
                    Model = json.Model,
                    Version = json.Version,
                    Variant = json.Variant,
                    Predictions = json.Predictions,
                    Abstained = json.Abstained,
                    Image = json.Image,
                    Timings = json.Timing.ToTimings(),
                };
            }
        }
        catch (JsonException)
        {
            // What follows says it.
        }

        throw new RunStoppedException($"{server.Address} answered 200, but not as a Whatsit server does.");
    }

    /// <summary>A refusal is the photo's, or that of everything that will be asked.</summary>
    private async Task<Exception> RefusalAsync(Remote server, HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var (detail, code) = await ProblemAsync(response, cancellationToken);
        if (response.StatusCode is HttpStatusCode.BadRequest or HttpStatusCode.RequestEntityTooLarge or HttpStatusCode.UnsupportedMediaType
            or HttpStatusCode.UnprocessableEntity && !(code is not null && Wrong.Contains(code)))
        {
            return new InferenceException(
                response.StatusCode == HttpStatusCode.RequestEntityTooLarge ? InferenceError.ImageTooLarge : InferenceError.InvalidImage,
                detail ?? $"{server.Address} answered {(int)response.StatusCode}.");
        }

        lock (_lock)
        {
            _stopped = $"{server.Address} answered {(int)response.StatusCode}{(detail is null ? "." : $": {detail}")}";
            Signal();
            return new RunStoppedException(_stopped);
        }
    }

    private static async Task<string> SayAsync(HttpResponseMessage response, CancellationToken cancellationToken) =>
        (await ProblemAsync(response, cancellationToken)).Detail is { } detail ? $"{(int)response.StatusCode}: {detail}" : $"{(int)response.StatusCode}.";

    private static async Task<(string? Detail, string? Code)> ProblemAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        try
        {
            var problem = JsonNode.Parse(await response.Content.ReadAsStringAsync(cancellationToken)) as JsonObject;
            return ((string?)problem?["detail"], (string?)problem?["code"]);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            // A proxy's page.
            return default;
        }
    }

    /// <summary>One server, and how it is doing.</summary>
    private sealed class Remote(Uri address)
    {
        public Uri Address { get; } = address;

        /// <summary>How many photos it may be asked about at once.</summary>
        public double Window { get; set; } = First;

        public int Outstanding { get; set; }

        public long Answered { get; set; }

        /// <summary>How often in a row no answer came, and why.</summary>
        public int Lost { get; set; }

        public string? Why { get; set; }

        public long PausedAt { get; set; }

        public TimeSpan Pause { get; set; }

        public Uri PredictWith(string query) => new UriBuilder(Address) { Path = $"{Address.AbsolutePath.TrimEnd('/')}/predict", Query = query }.Uri;
    }
}
