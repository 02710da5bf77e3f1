using System.ComponentModel.DataAnnotations;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Whatsit.Inference;
using Whatsit.Server.Limits;

namespace Whatsit.Server.Predictions;

/// <summary>Pictures by URL. Configuration section <c>FetchByUrl</c>.</summary>
public sealed class FetchOptions : IValidatableObject
{
    /// <summary>Whether clients may name a URL instead of sending the picture. It makes the server send requests, so the default is off.</summary>
    public bool Enabled { get; set; }

    /// <summary>Also fetch from addresses that are not public: only where every client may reach everything that this server can. The default is off.</summary>
    public bool AllowPrivateAddresses { get; set; }

    /// <summary>The ports that URLs may name. The default is 80 and 443: the others are doors to services that expect no stranger.</summary>
    public SettingList Ports { get; set; } = [];

    /// <summary>Pictures that are fetched at once; more are refused and may be retried. The default is 32.</summary>
    [Range(1, 10_000)]
    public int MaxConcurrent { get; set; } = 32;

    /// <summary>Seconds for one picture, redirects included. The default is 10.</summary>
    [Range(0.1, 300)]
    public double TimeoutSeconds { get; set; } = 10;

    /// <summary>How many redirects are followed; each target is checked like the first. The default is 3.</summary>
    [Range(0, 10)]
    public int MaxRedirects { get; set; } = 3;

    internal bool Allows(int port) => Ports.Count == 0 ? port is 80 or 443 : Ports.Contains(port.ToString(CultureInfo.InvariantCulture));

    /// <inheritdoc/>
    IEnumerable<ValidationResult> IValidatableObject.Validate(ValidationContext validationContext) =>
        Ports.Where(port => !ushort.TryParse(port, out var number) || number == 0)
            .Select(port => new ValidationResult($"'{port}' is no port; it must be a number from 1 to 65535.", [nameof(Ports)]));
}

/// <summary>
/// Fetches a picture by URL without becoming a door into the network behind the server: the name is resolved here, every address that is not public is
/// refused, and the connection goes to the very address that was checked, so that a second resolution cannot give another. Redirects start over.
/// </summary>
internal sealed class ImageFetcher : IDisposable
{
    private readonly FetchOptions _options;
    private readonly LimitsOptions _limits;
    private readonly HttpMessageInvoker _client;
    private readonly HostResolver _resolver;
    private int _fetching;

    /// <summary>Prepares the connection policy.</summary>
    public ImageFetcher(FetchOptions options, LimitsOptions limits)
        : this(options, limits, Dns.GetHostAddresses)
    {
    }

    /// <summary>The same with another resolver.</summary>
    internal ImageFetcher(FetchOptions options, LimitsOptions limits, Func<string, IPAddress[]> lookUp)
    {
        _resolver = new(lookUp);
        _options = options;
        _limits = limits;
        _client = new HttpMessageInvoker(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            AutomaticDecompression = DecompressionMethods.None,
            // A proxy would resolve the name itself, after the check.
            UseProxy = false,
            UseCookies = false,
            MaxResponseHeadersLength = 16,
            ConnectCallback = ConnectAsync,
            ConnectTimeout = TimeSpan.FromSeconds(options.TimeoutSeconds),
        });
    }

    /// <summary>Fetches one picture.</summary>
    /// <exception cref="InferenceException">
    /// <see cref="InferenceError.InvalidRequest"/>: off, no such URL, or not public. <see cref="InferenceError.UpstreamFailed"/>: the other side failed.
    /// <see cref="InferenceError.ImageTooLarge"/>.
    /// </exception>
    public async Task<ReceivedFile> FetchAsync(string url, Upload upload, CancellationToken cancellationToken)
    {
        if (!_options.Enabled)
        {
            throw new InferenceException(InferenceError.InvalidRequest, "url-off", "Pictures by URL are switched off on this server (FetchByUrl:Enabled).");
        }

        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        deadline.CancelAfter(TimeSpan.FromSeconds(_options.TimeoutSeconds));
        try
        {
            if (Interlocked.Increment(ref _fetching) > _options.MaxConcurrent)
            {
                throw new InferenceException(
                    InferenceError.QueueFull,
                    "too-many-fetches",
                    $"The server fetches {Counted.Of(_options.MaxConcurrent, "picture")} already, its limit. Try again in a moment.",
                    ("limit", _options.MaxConcurrent));
            }

            var target = Parse(url, relativeTo: null);
            for (var redirects = 0; ; redirects++)
            {
                using var request = new HttpRequestMessage(HttpMethod.Get, target);
                request.Headers.TryAddWithoutValidation("Accept", "image/*");
                request.Headers.TryAddWithoutValidation("User-Agent", "Whatsit");
                using var response = await _client.SendAsync(request, deadline.Token);
                if ((int)response.StatusCode is 301 or 302 or 303 or 307 or 308 && response.Headers.Location is { } location)
                {
                    if (redirects == _options.MaxRedirects)
                    {
                        throw new InferenceException(InferenceError.UpstreamFailed,
                            $"The URL redirects more than {Counted.Of(_options.MaxRedirects, "time")}.");
                    }

                    target = Parse(location.OriginalString, target);
                    continue;
                }

                if (!response.IsSuccessStatusCode)
                {
                    throw new InferenceException(InferenceError.UpstreamFailed, $"The URL answered with status {(int)response.StatusCode}.");
                }

                await using var body = await response.Content.ReadAsStreamAsync(deadline.Token);
                return await ReceivedFile.ReadAsync(body, response.Content.Headers.ContentLength, _limits.MaxImageBytes, upload, deadline.Token);
            }
        }
        catch (HttpRequestException exception) when (exception.InnerException is InferenceException refused)
        {
            throw refused;
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException)
        {
            throw new InferenceException(InferenceError.UpstreamFailed, "The URL could not be fetched.", exception);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new InferenceException(InferenceError.UpstreamFailed, $"The URL did not answer within {Counted.Of(_options.TimeoutSeconds, "second")}.");
        }
        finally
        {
            Interlocked.Decrement(ref _fetching);
        }
    }

    /// <summary>Whether an address may be reached from a server on behalf of a stranger.</summary>
    public static bool IsPublic(IPAddress address)
    {
        if (address.IsIPv4MappedToIPv6)
        {
            address = address.MapToIPv4();
        }

        var bytes = address.GetAddressBytes();
        if (address.AddressFamily == AddressFamily.InterNetwork)
        {
            // IANA IPv4 Special-Purpose Address Registry: everything that is not globally reachable, and multicast and reserved space.
            return bytes[0] switch
            {
                0 or 10 or 127 or >= 224 => false,
                100 => bytes[1] is < 64 or > 127,
                169 => bytes[1] != 254,
                172 => bytes[1] is < 16 or > 31,
                192 => !(bytes[1] == 168 || (bytes[1] == 0 && bytes[2] is 0 or 2) || (bytes[1] == 88 && bytes[2] == 99)),
                198 => bytes[1] is not (18 or 19) && !(bytes[1] == 51 && bytes[2] == 100),
                203 => !(bytes[1] == 0 && bytes[2] == 113),
                _ => true,
            };
        }

        // IANA IPv6 Special-Purpose Address Registry: only 2000::/3 is global unicast; of it, the tunnels that embed an IPv4 address (6to4, Teredo)
        // and documentation space are refused. 64:ff9b::/96 (NAT64) lies outside it.
        return (bytes[0] & 0xE0) == 0x20
            && !(bytes[0] == 0x20 && bytes[1] == 0x02)
            && !(bytes[0] == 0x20 && bytes[1] == 0x01 && (bytes[2] is 0 or 1 || (bytes[2] == 0x0D && bytes[3] == 0xB8)))
            && !(bytes[0] == 0x3F && bytes[1] == 0xFF);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _client.Dispose();
        _resolver.Dispose();
    }

    private Uri Parse(string url, Uri? relativeTo)
    {
        var parsed = relativeTo is null
            ? Uri.TryCreate(url, UriKind.Absolute, out var absolute) ? absolute : null
            : Uri.TryCreate(relativeTo, url, out var relative) ? relative : null;
        if (parsed is not { Scheme: "http" or "https", UserInfo: "" })
        {
            throw new InferenceException(InferenceError.InvalidRequest, "invalid-url", "The URL must be an absolute http or https URL without a user name.");
        }

        return _options.Allows(parsed.Port)
            ? parsed
            : throw new InferenceException(
                InferenceError.InvalidRequest, "url-port", $"The URL's port {parsed.Port} is not allowed here (FetchByUrl:Ports).", ("port", parsed.Port));
    }

    private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        IPAddress[] addresses;
        try
        {
            addresses = await _resolver.ResolveAsync(context.DnsEndPoint.Host, cancellationToken);
        }
        catch (Exception exception) when (exception is SocketException or ArgumentException)
        {
            // The same answer as for a name that is not public: strangers need not learn which names there are behind this server.
            addresses = [];
        }

        if (addresses.Length == 0 || !(_options.AllowPrivateAddresses || addresses.All(IsPublic)))
        {
            var host = Refusal.Shorten(context.DnsEndPoint.Host);
            throw new InferenceException(InferenceError.InvalidRequest, "host-not-public", $"The host '{host}' is unknown or not on the public internet.",
                ("host", host));
        }

        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(addresses, context.DnsEndPoint.Port, cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
