using System.ComponentModel.DataAnnotations;

namespace Whatsit.Server.Telemetry;

/// <summary>What the log looks like and what it may say of a request. Configuration section <c>Log</c>.</summary>
public sealed class LogOptions
{
    /// <summary>
    /// <c>text</c>: lines for people. <c>json</c>: one object per line in Serilog's compact form (https://clef-json.org), for programs that collect logs.
    /// The default is <c>text</c>.
    /// </summary>
    [RegularExpression("text|json", ErrorMessage = "It must be text or json.")]
    public string Format { get; set; } = "text";

    /// <summary>Also write the query of a request, which may hold a picture's URL. The default is off.</summary>
    public bool Query { get; set; }

    /// <summary>Also write the best label of each picture, which says what is on a stranger's photo. The default is off.</summary>
    public bool Labels { get; set; }
}
