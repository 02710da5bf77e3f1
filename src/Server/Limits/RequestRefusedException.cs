using Whatsit.Inference;

namespace Whatsit.Server.Limits;

/// <summary>A request that the web refuses, before the core knows of it.</summary>
/// <param name="status">The status code.</param>
/// <param name="title">What kind of failure.</param>
/// <param name="code">The stable code; the README lists them.</param>
/// <param name="detail">One sentence.</param>
/// <param name="parameters">The values in the sentence.</param>
internal sealed class RequestRefusedException(int status, string title, string code, string detail, params (string Name, object Value)[] parameters)
    : BadHttpRequestException(detail, status)
{
    public Refusal Refusal { get; } =
        new(status, title, code, detail, parameters.Length == 0 ? Codes.None : parameters.ToDictionary(pair => pair.Name, pair => pair.Value));
}
