using System.Text;
using Microsoft.Net.Http.Headers;
using Whatsit.Inference;
using Whatsit.Server.Limits;

namespace Whatsit.Server.Predictions;

/// <summary>What stands in front of a part.</summary>
/// <param name="Name">The form field's name, if there is one.</param>
/// <param name="FileName">The file's name: empty where a browser's file input was left empty.</param>
/// <param name="ContentType">The type, if there is one.</param>
internal sealed record PartHeaders(string? Name, string? FileName, string? ContentType);

/// <summary>
/// The parts of a multipart body (RFC 2046, 5.1; RFC 7578), one after the other. The framework's reader keeps a header line without an end in memory however
/// long it is; this one has limits for lines, headers and parts. It also takes lines that end with LF alone, which hand-written clients send.
/// </summary>
internal sealed class MultipartBody : ReadOnlyStream
{
    // RFC 2046 allows 70 characters.
    private const int MaxBoundary = 200;

    private readonly BodyReader _body;
    private readonly byte[] _delimiter;
    private bool _inPart;
    private bool _ended;

    private MultipartBody(BodyReader body, ReadOnlySpan<byte> boundary)
    {
        _body = body;
        _delimiter = [(byte)'\n', (byte)'-', (byte)'-', .. boundary];
    }

    /// <summary>
    /// Finds the boundary: the header's where the body has it, else the one that the body begins with. Nothing where there is neither: the body is something
    /// else.
    /// </summary>
    public static async ValueTask<MultipartBody?> OpenAsync(BodyReader body, string? announced, CancellationToken cancellationToken)
    {
        await body.FillAsync(LimitsOptions.MaxPartLineBytes, cancellationToken);
        var start = body.Available;
        if (announced is { Length: > 0 and <= MaxBoundary } && IndexOfDelimiter(start, Encoding.UTF8.GetBytes("--" + announced)) is >= 0 and var at)
        {
            body.Skip(at);
            return new(body, Encoding.UTF8.GetBytes(announced));
        }

        var text = start.TrimStart("\r\n"u8);
        var line = text[..Math.Max(0, text.IndexOf((byte)'\n'))].TrimEnd("\r \t"u8);
        if (!line.StartsWith("--"u8) || line.Length is < 3 or > MaxBoundary || !StartsWithHeader(text[text.IndexOf((byte)'\n')..]))
        {
            return null;
        }

        var boundary = line[2..].ToArray();
        body.Skip(start.Length - text.Length);
        return new(body, boundary);
    }

    /// <summary>Passes over what is left of the current part and reads what stands in front of the next; nothing after the last.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceError.InvalidRequest"/>: it breaks off, or is over a limit.</exception>
    public async ValueTask<PartHeaders?> NextAsync(CancellationToken cancellationToken)
    {
        while (_inPart)
        {
            await FillPartAsync(LimitsOptions.MaxPartLineBytes, cancellationToken);
            _body.Skip(_ended ? _body.Available.IndexOf(_delimiter) + 1 : PartAvailable().Length);
            _inPart = !_ended;
        }

        // The delimiter's line: "--boundary", and "--" more after the last part.
        await _body.FillAsync(_delimiter.Length + 1, cancellationToken);
        if (_body.Available[(_delimiter.Length - 1)..].StartsWith("--"u8))
        {
            return null;
        }

        await ReadLineAsync(cancellationToken);

        var part = new PartHeaders(null, null, null);
        for (var headers = 0; await ReadLineAsync(cancellationToken) is { Length: > 0 } header; headers++)
        {
            if (headers == LimitsOptions.MaxPartHeaders)
            {
                throw new InferenceException(
                    InferenceError.InvalidRequest,
                    "too-many-part-headers",
                    $"A part of the form has more than {LimitsOptions.MaxPartHeaders} headers, the limit.",
                    ("limit", LimitsOptions.MaxPartHeaders));
            }

            part = With(part, Encoding.UTF8.GetString(header));
        }

        (_inPart, _ended) = (true, false);
        return part;
    }

    /// <summary>Waits until so many bytes of the part can be looked at, or it has ended.</summary>
    public async ValueTask<ReadOnlyMemory<byte>> PeekAsync(int count, CancellationToken cancellationToken)
    {
        await FillPartAsync(count, cancellationToken);
        var part = PartAvailable();
        return part[..Math.Min(count, part.Length)].ToArray();
    }

    /// <summary>Reads the current part.</summary>
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        await FillPartAsync(1, cancellationToken);
        var part = PartAvailable();
        var count = Math.Min(part.Length, buffer.Length);
        part[..count].CopyTo(buffer.Span);
        _body.Skip(count);
        return count;
    }

    private async ValueTask FillPartAsync(int count, CancellationToken cancellationToken)
    {
        // What may be the beginning of a delimiter is no content yet.
        while (PartAvailable().Length < count && !_ended)
        {
            var before = _body.Available.Length;
            await _body.FillAsync(Math.Min(BodyReader.Capacity, Math.Max(before + 1, count + _delimiter.Length + 1)), cancellationToken);
            if (_body.Ended && _body.Available.IndexOf(_delimiter) < 0)
            {
                throw Malformed();
            }
        }
    }

    /// <summary>The part's bytes that are surely its own; sets that it has ended where its delimiter follows.</summary>
    private ReadOnlySpan<byte> PartAvailable()
    {
        var available = _body.Available;
        var at = available.IndexOf(_delimiter);
        _ended = at >= 0;
        var length = at < 0 ? Math.Max(0, available.Length - _delimiter.Length) : at;
        // The line end in front of a delimiter is the delimiter's.
        return available[..length] is [.. var content, (byte)'\r'] && _ended ? content : available[..length];
    }

    private async ValueTask<byte[]> ReadLineAsync(CancellationToken cancellationToken)
    {
        for (var count = 1; ; count = _body.Available.Length + 1)
        {
            await _body.FillAsync(Math.Min(count, LimitsOptions.MaxPartLineBytes + 1), cancellationToken);
            var end = _body.Available.IndexOf((byte)'\n');
            if ((end < 0 ? _body.Available.Length : end) > LimitsOptions.MaxPartLineBytes)
            {
                throw new InferenceException(
                    InferenceError.InvalidRequest,
                    "part-header-too-long",
                    $"A header of a part of the form is longer than {LimitsOptions.Bytes(LimitsOptions.MaxPartLineBytes)}, the limit.",
                    ("limit", LimitsOptions.MaxPartLineBytes));
            }

            if (end >= 0)
            {
                var line = _body.Available[..end].TrimEnd((byte)'\r').ToArray();
                _body.Skip(end + 1);
                return line;
            }

            if (_body.Ended)
            {
                throw Malformed();
            }
        }
    }

    /// <summary>Where a line begins that begins with the delimiter.</summary>
    private static int IndexOfDelimiter(ReadOnlySpan<byte> bytes, ReadOnlySpan<byte> delimiter)
    {
        for (var from = 0; bytes[from..].IndexOf(delimiter) is >= 0 and var at; from += at + 1)
        {
            if (from + at == 0 || bytes[from + at - 1] == '\n')
            {
                return from + at;
            }
        }

        return -1;
    }

    private static bool StartsWithHeader(ReadOnlySpan<byte> bytes)
    {
        var line = bytes.TrimStart("\r\n"u8);
        var end = line.IndexOf((byte)'\n');
        return (end < 0 ? line : line[..end]).Contains((byte)':');
    }

    private static PartHeaders With(PartHeaders part, string header)
    {
        var colon = header.IndexOf(':', StringComparison.Ordinal);
        var (name, value) = colon < 0 ? (header, "") : (header[..colon].Trim(), header[(colon + 1)..].Trim());
        if (name.Equals("Content-Type", StringComparison.OrdinalIgnoreCase))
        {
            return part with { ContentType = value };
        }

        if (!name.Equals("Content-Disposition", StringComparison.OrdinalIgnoreCase) || !ContentDispositionHeaderValue.TryParse(value, out var disposition))
        {
            return part;
        }

        // Not FileNameStar: it decodes in whatever encoding the client names (RFC 8187); all must know UTF-8, and it is for what ASCII cannot write.
        var starred =
            disposition.Parameters.FirstOrDefault(parameter => parameter.Name.Equals("filename*", StringComparison.OrdinalIgnoreCase))?.Value.ToString();
        var fileName = starred?.Split('\'') is [var encoding, _, var encoded] && encoding.Equals("utf-8", StringComparison.OrdinalIgnoreCase)
            ? Uri.UnescapeDataString(encoded)
            : disposition.FileName.HasValue ? HeaderUtilities.RemoveQuotes(disposition.FileName).ToString()
            : starred;
        return part with { Name = disposition.Name.HasValue ? HeaderUtilities.RemoveQuotes(disposition.Name).ToString() : null, FileName = fileName };
    }

    private static InferenceException Malformed() => new(InferenceError.InvalidRequest, "multipart-malformed",
        "The multipart body is malformed or ends too early.");
}
