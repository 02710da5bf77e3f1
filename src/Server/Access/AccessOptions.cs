using System.ComponentModel.DataAnnotations;
using System.Net;

namespace Whatsit.Server.Access;

/// <summary>Who may ask, and how often. Configuration section <c>Access</c>.</summary>
public sealed class AccessOptions : IValidatableObject
{
    /// <summary>API keys. Where there is one, the routes that take pictures ask for it; the default is none.</summary>
    public IList<ApiKey> Keys { get; } = [];

    /// <summary>
    /// Requests per minute of one address that has no key's own limit; needs addresses that mean something (<c>Proxies:Known</c>). The default is no limit.
    /// </summary>
    [Range(1, 1_000_000)]
    public int? RequestsPerMinute { get; set; }

    /// <summary>Whether <c>/metrics</c> and <c>/swagger</c> ask for a key too. The default is no.</summary>
    public bool KeyForOperations { get; set; }

    /// <inheritdoc/>
    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        foreach (var (index, key) in Keys.Index())
        {
            if (string.IsNullOrWhiteSpace(key.Name))
            {
                yield return Wrong($"Access:Keys:{index} has no Name.");
            }

            if (key.Hash is null)
            {
                yield return Wrong($"Access:Keys:{index}:Sha256 must be 64 hexadecimal digits: printf %s \"$KEY\" | sha256sum.");
            }

            if (key.RequestsPerMinute is < 1 || key.MaxUploadBytes is < 1024)
            {
                yield return Wrong($"Access:Keys:{index}: RequestsPerMinute must be 1 at least, MaxUploadBytes 1024.");
            }
        }

        if (KeyForOperations && Keys.Count == 0)
        {
            yield return new("There is no key in Access:Keys that could be asked for.", [nameof(KeyForOperations)]);
        }

        static ValidationResult Wrong(string problem) => new(problem, [nameof(Keys)]);
    }
}

/// <summary>One API key. The server knows only its hash.</summary>
public sealed class ApiKey
{
    /// <summary>Whose it is; it stands in no answer.</summary>
    public string Name { get; set; } = "";

    /// <summary>SHA-256 of the key, in hexadecimal. The key should be random (<c>openssl rand -hex 32</c>): such a one needs no slower hash.</summary>
    public string Sha256 { get; set; } = "";

    /// <summary>Requests per minute; the default is no limit.</summary>
    public int? RequestsPerMinute { get; set; }

    /// <summary>Bytes of uploads that may be in memory at once; the default is <c>Limits:MaxUploadBytesPerClient</c>.</summary>
    public long? MaxUploadBytes { get; set; }

    internal byte[]? Hash => Sha256.Length == 64 && Sha256.All(char.IsAsciiHexDigit) ? Convert.FromHexString(Sha256) : null;
}

/// <summary>Reverse proxies in front of the server. Configuration section <c>Proxies</c>.</summary>
public sealed class ProxiesOptions : IValidatableObject
{
    /// <summary>
    /// Their addresses or networks (<c>10.0.0.0/8</c>). Only what they say of a request's address, scheme, host and path prefix (<c>X-Forwarded-…</c>) is
    /// believed; the default is nobody.
    /// </summary>
    public SettingList Known { get; set; } = [];

    /// <inheritdoc/>
    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext) =>
        // 10.0.0 is an address too, 10.0.0.0, but nobody means that.
        Known.Where(proxy => !(IPAddress.TryParse(proxy, out _) && (proxy.Contains(':') || proxy.Count(letter => letter == '.') == 3))
            && !IPNetwork.TryParse(proxy, out _))
            .Select(proxy => new ValidationResult($"'{proxy}' is neither an address nor a network.", [nameof(Known)]));
}

/// <summary>Pages of other origins. Configuration section <c>Cors</c>.</summary>
public sealed class CrossOriginOptions : IValidatableObject
{
    /// <summary>Origins whose pages may ask (<c>https://shop.example</c>), or <c>*</c> for all. The default is none.</summary>
    public SettingList Origins { get; set; } = [];

    /// <inheritdoc/>
    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext) =>
        Origins.Where(origin => origin != "*" && !(Uri.TryCreate(origin, UriKind.Absolute, out var uri) && uri.GetLeftPart(UriPartial.Authority) == origin))
            .Select(origin => new ValidationResult($"'{origin}' is no origin such as https://shop.example.", [nameof(Origins)]));
}
