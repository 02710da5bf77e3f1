namespace Whatsit.Server.Models;

/// <summary>What was taught on the page. Configuration section <c>Teaching</c>.</summary>
public sealed class TeachingOptions
{
    /// <summary>
    /// Whether the page offers to put a model that it taught on this server, for those who have the key (<c>Management:KeySha256</c>). The default is no.
    /// </summary>
    public bool Enabled { get; set; }
}
