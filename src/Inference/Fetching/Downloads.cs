using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;

namespace Whatsit.Inference.Fetching;

/// <summary>What a file that is fetched must be.</summary>
/// <param name="Bytes">Its length, where that is known.</param>
/// <param name="Sha256">The hash of its content in lower-case hex, where that is known.</param>
/// <param name="GitSha1">The hash that git gives it (<c>blob LENGTH\0CONTENT</c>), where that is known.</param>
public sealed record Expected(long? Bytes = null, string? Sha256 = null, string? GitSha1 = null);

/// <summary>
/// Fetches files by HTTP into a folder: what is there already and right is not fetched again, what was broken off is continued, and nothing is left under its
/// name that is not whole. Proxies are those of the environment (<c>HTTPS_PROXY</c>, <c>NO_PROXY</c>).
/// </summary>
/// <param name="client">It must not follow redirects itself.</param>
/// <param name="token">Sent to the host that is asked, and to no other that it leads on to.</param>
/// <param name="progress">Told how it goes.</param>
/// <param name="time">The clock of rates and pauses.</param>
public sealed class Downloads(HttpClient client, string? token, Action<string> progress, TimeProvider time)
{
    private const int MostRedirects = 8;
    private const int MostAttempts = 4;

    // ENOSPC, EROFS, and what Windows says.
    private const int NoSpace = 28;
    private const int ReadOnlyFiles = 30;
    private const int HandleDiskFull = 39;
    private const int DiskFull = 112;

    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(60);

    /// <summary>The bytes that a file may have; by default as many as a model may unpack to.</summary>
    public long MostBytes { get; init; } = 4L << 30;

    /// <summary>A client as this class needs it.</summary>
    public static HttpClient CreateClient()
    {
        var client = new HttpClient(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            ConnectTimeout = TimeSpan.FromSeconds(20),
            PooledConnectionLifetime = TimeSpan.FromMinutes(5),
        })
        {
            Timeout = Timeout.InfiniteTimeSpan, // a large file takes its time; silence is what ends it
        };
        client.DefaultRequestHeaders.UserAgent.ParseAdd("whatsit/1.0");
        return client;
    }

    /// <summary>Text from an address.</summary>
    /// <param name="address">Where from.</param>
    /// <param name="largest">How long it may be.</param>
    /// <param name="refuse">Makes of an answer that is no success what the user is told; <see langword="null"/> for the usual.</param>
    /// <param name="cancellationToken">Stops it.</param>
    public Task<(byte[] Content, HttpResponseHeaders Headers)> GetAsync(Uri address, int largest, Func<HttpResponseMessage, Exception?> refuse,
        CancellationToken cancellationToken) => RetryAsync(address, async () =>
        {
            using var response = await SendAsync(address, _ => { }, cancellationToken);
            if (!response.IsSuccessStatusCode)
            {
                throw refuse(response) ?? Refusal(address, response);
            }

            await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
            using var content = new MemoryStream();
            await CopyAsync(body, content, Math.Min(largest, MostBytes), address, _ => { }, cancellationToken);
            return (content.ToArray(), response.Headers);
        }, cancellationToken);

    /// <summary>A file from an address.</summary>
    /// <param name="address">Where from.</param>
    /// <param name="path">Where to; its folder is made.</param>
    /// <param name="expected">What it must be.</param>
    /// <param name="refuse">As for <see cref="GetAsync"/>.</param>
    /// <param name="cancellationToken">Stops it; what came so far stays for the next time.</param>
    public async Task FetchAsync(Uri address, string path, Expected expected, Func<HttpResponseMessage, Exception?> refuse,
        CancellationToken cancellationToken)
    {
        var name = Path.GetFileName(path);
        if (expected.Bytes > MostBytes)
        {
            throw Failed($"'{name}' has {Counted.Of(expected.Bytes.Value, "byte")}; up to {MostBytes:N0} are fetched.");
        }

        if (File.Exists(path) && await IsRightAsync(path, expected, cancellationToken))
        {
            return;
        }

        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        var partial = $"{path}.part";
        for (var again = false; ; again = true)
        {
            await RetryAsync(address, () => ContinueAsync(address, partial, name, expected, refuse, cancellationToken), cancellationToken);
            if (await IsRightAsync(partial, expected, cancellationToken))
            {
                File.Move(partial, path, overwrite: true);
                File.Delete($"{partial}.tag");
                return;
            }

            // Parts of two versions, perhaps: once from the start.
            var length = new FileInfo(partial).Length;
            File.Delete(partial);
            File.Delete($"{partial}.tag");
            if (again)
            {
                throw Failed($"What came from {address} is not what was announced: {Counted.Of(length, "byte")}" +
                    $"{(expected.Bytes is { } bytes && bytes != length ? $" instead of {bytes:N0}" : " of another hash")}.");
            }
        }
    }

    /// <summary>Whether a file is what it must be.</summary>
    public static async Task<bool> IsRightAsync(string path, Expected expected, CancellationToken cancellationToken)
    {
        var length = new FileInfo(path).Length;
        if (expected.Bytes is { } bytes && bytes != length)
        {
            return false;
        }

        await using var file = File.OpenRead(path);
        if (expected.Sha256 is { } sha256)
        {
            return sha256.Equals(Convert.ToHexString(await SHA256.HashDataAsync(file, cancellationToken)), StringComparison.OrdinalIgnoreCase);
        }

        if (expected.GitSha1 is not { } sha1)
        {
            return true;
        }

#pragma warning disable CA5350 // git's own hash, which names a file, beside a connection that is trusted
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA1);
#pragma warning restore CA5350
        hash.AppendData(System.Text.Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"blob {length}\0")));
        var buffer = new byte[1 << 16];
        for (var read = await file.ReadAsync(buffer, cancellationToken); read > 0; read = await file.ReadAsync(buffer, cancellationToken))
        {
            hash.AppendData(buffer, 0, read);
        }

        return sha1.Equals(Convert.ToHexString(hash.GetHashAndReset()), StringComparison.OrdinalIgnoreCase);
    }

    private async Task<bool> ContinueAsync(Uri address, string partial, string name, Expected expected, Func<HttpResponseMessage, Exception?> refuse,
        CancellationToken cancellationToken)
    {
        FileStream file;
        try
        {
            file = new FileStream(partial, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException exception) when (File.Exists(partial))
        {
            throw Failed($"'{partial}' is being written by somebody else ({exception.Message})", exception);
        }

        await using (file)
        {
            var have = file.Length;
            if (expected.Bytes is { } whole && have >= whole)
            {
                have = have == whole ? have : 0;
                if (have == whole)
                {
                    return true;
                }
            }

            // Without a hash only the server can say that both parts are of one version.
            var tag = expected is { Sha256: null, GitSha1: null } ? Tag(partial) : null;
            have = expected is { Sha256: null, GitSha1: null } && tag is null ? 0 : have;
            using var response = await SendAsync(address, request =>
            {
                request.Headers.Range = have > 0 ? new RangeHeaderValue(have, null) : null;
                request.Headers.IfRange = have > 0 && tag is not null ? new RangeConditionHeaderValue(tag) : null;
            }, cancellationToken);
            if (response.StatusCode == HttpStatusCode.RequestedRangeNotSatisfiable)
            {
                // All of it is there already, or something else is: the hash tells, or, where there is none, the next attempt from the start.
                file.SetLength(expected is { Sha256: null, GitSha1: null } ? 0 : have);
                return file.Length > 0 ? true : throw new IOException($"{address} has nothing behind byte {have}.");
            }

            if (!response.IsSuccessStatusCode)
            {
                throw refuse(response) ?? Refusal(address, response);
            }

            var continues = response.StatusCode == HttpStatusCode.PartialContent && response.Content.Headers.ContentRange?.From == have;
            file.SetLength(continues ? have : 0);
            file.Position = file.Length;
            var from = file.Position;
            var total = expected.Bytes ?? (response.Content.Headers.ContentLength is { } left ? left + from : null);
            if (total > MostBytes)
            {
                throw Failed($"{address} has {Counted.Of(total.Value, "byte")}; up to {MostBytes:N0} are fetched.");
            }

            await File.WriteAllTextAsync($"{partial}.tag", response.Headers.ETag is { IsWeak: false } given ? given.ToString() : "", cancellationToken);
            var started = time.GetTimestamp();
            await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
            await CopyAsync(body, file, MostBytes - from, address, got => progress(Rate(name, from, got, total, time.GetElapsedTime(started))),
                cancellationToken);
            return total is null || file.Length == total ? true
                : throw new IOException($"{address} ended after {file.Length:N0} of {Counted.Of(total.Value, "byte")}.");
        }
    }

    private static EntityTagHeaderValue? Tag(string partial) =>
        File.Exists($"{partial}.tag") && EntityTagHeaderValue.TryParse(File.ReadAllText($"{partial}.tag"), out var tag) ? tag : null;

    /// <summary>"model.onnx: 12.3 of 88.0 MB, 5.1 MB/s, 15 s left".</summary>
    public static string Rate(string name, long before, long got, long? total, TimeSpan elapsed)
    {
        var rate = got / Math.Max(elapsed.TotalSeconds, 0.001);
        var of = total is { } all ? string.Create(CultureInfo.InvariantCulture, $" of {all / 1e6:0.0}") : "";
        var text = string.Create(CultureInfo.InvariantCulture, $"{name}: {(before + got) / 1e6:0.0}{of} MB, {rate / 1e6:0.0} MB/s");
        return total is { } whole && rate > 0 ? string.Create(CultureInfo.InvariantCulture, $"{text}, {(whole - before - got) / rate:0} s left") : text;
    }

    private static async Task CopyAsync(Stream from, Stream to, long most, Uri address, Action<long> told, CancellationToken cancellationToken)
    {
        var buffer = new byte[1 << 16];
        long got = 0;
        using var silence = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        while (true)
        {
            silence.CancelAfter(Silence);
            int read;
            try
            {
                read = await from.ReadAsync(buffer, silence.Token);
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                throw new IOException($"{address.Host} has sent nothing for {Counted.Of(Silence.TotalSeconds, "second")}.");
            }

            if (read == 0)
            {
                return;
            }

            got += read;
            if (got > most)
            {
                throw Failed($"{address} is longer than the {Counted.Of(most, "byte")} that are fetched.");
            }

            await to.WriteAsync(buffer.AsMemory(0, read), cancellationToken);
            told(got);
        }
    }

    /// <summary>Follows redirects, as far as they are safe: never from https to http, and with the token to the same host only.</summary>
    private async Task<HttpResponseMessage> SendAsync(Uri address, Action<HttpRequestMessage> prepare, CancellationToken cancellationToken)
    {
        var at = address;
        for (var hop = 0; hop <= MostRedirects; hop++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, at);
            prepare(request);
            if (token is not null && (at.Scheme, at.Host, at.Port) == (address.Scheme, address.Host, address.Port))
            {
                request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
            }

            var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
            if ((int)response.StatusCode is not (301 or 302 or 303 or 307 or 308) || response.Headers.Location is not { } location)
            {
                return response;
            }

            response.Dispose();
            var next = new Uri(at, location);
            if (next.Scheme is not ("https" or "http") || (at.Scheme == "https" && next.Scheme == "http"))
            {
                throw Failed($"{at.Host} leads on to '{next.Scheme}://{next.Host}', which is not followed from {at.Scheme}.");
            }

            at = next;
        }

        throw Failed($"{address} leads on more than {MostRedirects} times.");
    }

    private async Task<T> RetryAsync<T>(Uri address, Func<Task<T>> action, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return await action();
            }
            catch (Exception exception) when (IsPassing(exception) && attempt < MostAttempts)
            {
                progress($"{address.Host}: {exception.Message}; attempt {attempt + 1} of {MostAttempts}");
                await Task.Delay(TimeSpan.FromSeconds(0.5 * (1 << (attempt - 1))), time, cancellationToken);
            }
            catch (HttpRequestException exception)
            {
                throw Failed(Unreachable(address, exception), exception);
            }
            catch (IOException exception) when (IsPassing(exception))
            {
                throw Failed($"The connection to {address.Host} broke: {exception.Message} Try again: what came so far is kept.", exception);
            }
        }
    }

    // Names that are not known and certificates that are wrong are so the next time, too; a full disk is not the network's.
    private static bool IsPassing(Exception exception) => exception switch
    {
        PassingException => true,
        HttpRequestException { HttpRequestError: HttpRequestError.NameResolutionError or HttpRequestError.SecureConnectionError } => false,
        HttpRequestException { InnerException: SocketException { SocketErrorCode: SocketError.ConnectionRefused } } => false,
        HttpRequestException => true,
        HttpIOException => true,
        FileNotFoundException or DirectoryNotFoundException or PathTooLongException => false,
        IOException { HResult: var code } => (code & 0xFFFF) is not (NoSpace or DiskFull or HandleDiskFull or ReadOnlyFiles),
        _ => false,
    };

    private static string Unreachable(Uri address, HttpRequestException exception) => exception switch
    {
        PassingException => exception.Message,
        { HttpRequestError: HttpRequestError.NameResolutionError } =>
            $"There is no way to {address.Host}: its name is not known here. Is there a network, and does it want a proxy (HTTPS_PROXY)?",
        { HttpRequestError: HttpRequestError.ProxyTunnelError } => $"The proxy does not lead to {address.Host}: {exception.Message}",
        { InnerException: AuthenticationException } or { HttpRequestError: HttpRequestError.SecureConnectionError } =>
            $"The connection to {address.Host} cannot be trusted: {(exception.InnerException ?? exception).Message}",
        _ => $"{address.Host} cannot be reached: {(exception.InnerException ?? exception).Message}",
    };

    private static Exception Refusal(Uri address, HttpResponseMessage response) => (int)response.StatusCode switch
    {
        429 => Failed($"{address.Host} asks for patience (429){Wait(response)}: try again later" +
            $"{(response.RequestMessage?.Headers.Authorization is null ? ", or give a token (HF_TOKEN)" : "")}."),
        >= 500 and var status => new PassingException($"{address.Host} has a trouble of its own ({status}); try again later."),
        404 or 410 => Failed($"There is nothing at {address} (404)."),
        401 or 403 => Failed($"{address} is not given out without more rights ({(int)response.StatusCode})."),
        var status => Failed($"{address} answers {status}."),
    };

    private static string Wait(HttpResponseMessage response) =>
        response.Headers.RetryAfter?.Delta is { } delta ? $" for {Counted.Of(delta.TotalSeconds, "second")}" : "";

    private static InferenceException Failed(string sentence, Exception? cause = null) => new(InferenceError.UpstreamFailed, sentence, cause);

    /// <summary>A failure that may be over the next time.</summary>
    private sealed class PassingException(string message) : HttpRequestException(message);
}
