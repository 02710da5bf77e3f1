using System.ComponentModel.DataAnnotations;

namespace Whatsit.Inference.Backends;

/// <summary>Models that other servers compute. Configuration section <c>Remote</c>.</summary>
public sealed class RemoteOptions : IValidatableObject
{
    /// <summary>
    /// Hosts that a manifest may send pictures' tensors to: <c>host</c>, <c>host:port</c>, or <c>*</c> for any. A bundle may come from elsewhere, so the
    /// default is none.
    /// </summary>
    public IReadOnlyList<string> Hosts { get; set; } = [];

    /// <summary>The API key that these servers ask for, sent as <c>Authorization: Bearer</c>. The default is none.</summary>
    public string? ApiKey { get; set; }

    /// <summary>Seconds between two questions whether a server is ready; its answer may take as long, but 2 at least. The default is 2.</summary>
    [Range(0.05, 60)]
    public double ReadySeconds { get; set; } = 2;

    /// <summary>Calls to one server at once; what waits meanwhile goes into the next call together. The default is 4.</summary>
    [Range(1, 64)]
    public int Calls { get; set; } = 4;

    /// <inheritdoc/>
    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext) => Hosts.Where(host => !IsHost(host))
        .Select(host => new ValidationResult($"'{host}' is none of host, host:port and *.", [nameof(Hosts)]));

    private static bool IsHost(string host) => host == "*" || (Uri.TryCreate($"http://{host}", UriKind.Absolute, out var address)
        && (host.Equals(address.Host, StringComparison.OrdinalIgnoreCase)
            || host.Equals($"{address.Host}:{address.Port}", StringComparison.OrdinalIgnoreCase)));

    /// <summary>Whether a manifest may name this endpoint.</summary>
    internal bool Allows(Uri endpoint) => Hosts.Any(host =>
        host == "*" || host.Equals(endpoint.Host, StringComparison.OrdinalIgnoreCase) || host.Equals(endpoint.Authority, StringComparison.OrdinalIgnoreCase)
        || host.Equals($"{endpoint.Host}:{endpoint.Port}", StringComparison.OrdinalIgnoreCase));
}
