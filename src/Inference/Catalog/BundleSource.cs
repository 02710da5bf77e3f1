using System.ComponentModel.DataAnnotations;

namespace Whatsit.Inference.Catalog;

/// <summary>A bundle that lies elsewhere, as a zip. Configuration section <c>Catalog:Sources:N</c>.</summary>
public sealed class BundleSource
{
    /// <summary>The model's name here.</summary>
    [Required]
    public string Name { get; set; } = "";

    /// <summary>The address of the zip: <c>https://…</c>.</summary>
    [Required]
    public string Url { get; set; } = "";

    /// <summary>The SHA-256 of the zip, in hexadecimal: what comes is served only if it is that.</summary>
    [Required]
    public string Sha256 { get; set; } = "";

    /// <summary>Whether the address may be <c>http://…</c>, where everyone on the way sees what is fetched. The default is no.</summary>
    public bool AllowHttp { get; set; }

    internal Uri Address => new(Url, UriKind.Absolute);

    /// <summary>What is wrong with it; nothing where nothing is.</summary>
    internal string? ProblemOf(string setting) =>
        !Bundle.IsName(Name) ? $"{setting}:Name is '{Name}'; a model's name has letters, digits, '-', '_' and '.', at most 64."
        : !Uri.TryCreate(Url, UriKind.Absolute, out var address) || address.Scheme is not ("https" or "http")
            ? $"{setting}:Url is '{Sentence.OneLine(Url, 200)}', which is no address such as https://models.example/{Name}.zip."
        : address.Scheme == "http" && !AllowHttp ? $"{setting}:Url begins with http://; give https://, or set {setting}:AllowHttp to true."
        : Sha256.Length != 64 || !Sha256.All(char.IsAsciiHexDigit) ? $"{setting}:Sha256 must be 64 hexadecimal digits: sha256sum {Name}.zip."
        : null;
}
