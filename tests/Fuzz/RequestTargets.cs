using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using Whatsit.Inference;
using Whatsit.Server;
using Whatsit.Server.Limits;
using Whatsit.Server.Predictions;

namespace Whatsit.Fuzz;

/// <summary>
/// Bodies of requests. An input's first line is the content type, the rest is the body; it is read as one piece and in small pieces, and both must end alike.
/// </summary>
internal static class RequestTargets
{
    private const string Form = "multipart/form-data; boundary=BOUNDARY";

    private static readonly LimitsOptions Limits = new() { MaxImageBytes = 64 * 1024, MaxImagesPerRequest = 4 };

    private static readonly ImageInput Input = new(Limits, new ImageFetcher(new FetchOptions(), Limits));

    private static readonly byte[] Picture = Convert.FromBase64String("R0lGODlhAQABAIAAAAAAAP///ywAAAAAAQABAAACAUwAOw==");

    public static Target[] All =>
    [
        new("multipart", 3000, Read, Multipart),
        new("json", 3000, Read, Json),
    ];

    private static void Read(byte[] input)
    {
        var end = input.AsSpan().IndexOf((byte)'\n');
        var type = Encoding.Latin1.GetString(input.AsSpan(0, Math.Max(0, end))).Trim();
        var body = input[(end + 1)..];
        var (refusal, whole) = Outcome(type, body, int.MaxValue);
        foreach (var piece in (ReadOnlySpan<int>)[1, 7])
        {
            if (Outcome(type, body, piece).All is var pieces && pieces != whole)
            {
                throw new ViolationException($"In pieces of {piece}: {pieces}; as a whole: {whole}");
            }
        }

        if (refusal is not null)
        {
            throw refusal;
        }
    }

    /// <summary>All that a client would notice, and the refusal if it is one.</summary>
    private static (InferenceException? Refusal, string All) Outcome(string type, byte[] body, int piece)
    {
        var context = new DefaultHttpContext();
        using var upload = new Upload(new(Limits));
        context.Features.Set(upload);
        context.Request.ContentType = type;
        context.Request.Body = new Pieces(body, piece);
        var fields = new PredictFields(null, null, null);
        var outcome = new StringBuilder();
        InferenceException? refusal = null;
        try
        {
            outcome.Append("taken:").Append(ReadAllAsync(context, fields).GetAwaiter().GetResult());
            fields.ToOptions(classes: 10);
        }
        catch (InferenceException exception)
        {
            refusal = exception;
            outcome.Append($"refused: {exception.Error} {exception.Code} {exception.Message} ");
        }

        if (upload.Bytes != 0)
        {
            throw new ViolationException($"{upload.Bytes} bytes of the upload were not given back.");
        }

        outcome.Append($" {fields.Model} {fields.TopK} {fields.Explain} ").AppendJoin(' ', fields.Warnings.Select(warning => warning.Detail));
        return (refusal, outcome.ToString());
    }

    private static async Task<string> ReadAllAsync(HttpContext context, PredictFields fields)
    {
        var outcome = new StringBuilder();
        var pictures = 0;
        await foreach (var file in Input.ReadAsync(context, fields, CancellationToken.None))
        {
            outcome.Append($" {file.Name} {file.Memory.Length} {Convert.ToHexString(SHA256.HashData(file.Memory.Span))[..8]}");
            if (++pictures > Limits.MaxImagesPerRequest || file.Memory.Length > Limits.MaxImageBytes)
            {
                throw new ViolationException($"{pictures} pictures, the last of {file.Memory.Length} bytes: over the limits.");
            }
        }

        return outcome.ToString();
    }

    private static IEnumerable<(string Name, byte[] Bytes)> Multipart()
    {
        var part = "--BOUNDARY\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.gif\"\r\nContent-Type: image/gif\r\n\r\n";
        var field = "--BOUNDARY\r\nContent-Disposition: form-data; name=\"topK\"\r\n\r\n3\r\n";
        const string End = "\r\n--BOUNDARY--\r\n";
        yield return ("one", Bytes(Form, part, Picture, End));
        yield return ("two-and-field", Bytes(Form, part, Picture, "\r\n" + field + part, Picture, End));
        yield return ("field-first", Bytes(Form, field + part, Picture, End));
        yield return ("boundary-of-the-body", Bytes("multipart/form-data", part, Picture, End));
        yield return ("line-feeds", Bytes(Form, part.Replace("\r", "", StringComparison.Ordinal), Picture, "\n--BOUNDARY--"));
        yield return ("starred", Bytes(Form, part.Replace("filename=\"a.gif\"", "filename*=utf-8''%e2%82%ac.gif", StringComparison.Ordinal), Picture, End));
        yield return ("base64", Bytes(Form, "--BOUNDARY\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\n" + Convert.ToBase64String(Picture), [], End));
        yield return ("url", Bytes(Form, "--BOUNDARY\r\nContent-Disposition: form-data; name=url\r\n\r\nhttp://a.example/b.png", [], End));
        yield return ("empty-file", Bytes(Form, part.Replace("a.gif", "", StringComparison.Ordinal), [], End));
        yield return ("typed-name", Bytes(Form, "--BOUNDARY\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n@photo.jpg", [], End));
        yield return ("preamble", Bytes(Form, "preamble\r\n" + part, Picture, End + "epilogue"));
    }

    private static IEnumerable<(string Name, byte[] Bytes)> Json()
    {
        var base64 = Convert.ToBase64String(Picture);
        yield return ("image", Bytes("application/json", $$"""{"image":"{{base64}}","topK":3,"model":"grocery","explain":true}""", [], ""));
        yield return ("data-url", Bytes("application/json", $$"""{"image":"data:image/gif;base64,{{base64}}"}""", [], ""));
        yield return ("escaped", Bytes("text/plain", $$"""{"image":"{{base64.Replace("/", "\\/", StringComparison.Ordinal)}}"}""", [], ""));
        yield return ("surrogate", Bytes("application/json", """{"url":"\ud83d\ude00","a":[{"b":[1,2.5e3,null]}]}""", [], ""));
        yield return ("mark", Bytes("application/json", "\uFEFF{\"image\":\"" + base64 + "\"}", [], ""));
        yield return ("form", Bytes("application/x-www-form-urlencoded", $"image={Uri.EscapeDataString(base64)}&topK=3&a=%ff", [], ""));
        yield return ("text", Bytes("text/plain", base64, [], ""));
        yield return ("url-safe", Bytes("text/plain", "data:;base64," + base64.Replace('/', '_').TrimEnd('='), [], "\r\n"));
        yield return ("typed-name", Bytes("text/plain", "@photo.jpg", [], ""));
        yield return ("raw", Bytes("image/gif", "", Picture, ""));
    }

    private static byte[] Bytes(string type, string before, byte[] bytes, string after) =>
        [.. Encoding.UTF8.GetBytes(type + "\n" + before), .. bytes, .. Encoding.UTF8.GetBytes(after)];

    private static byte[] Bytes(string type, string before, byte[] first, string between, byte[] second, string after) =>
        [.. Bytes(type, before, first, between), .. second, .. Encoding.UTF8.GetBytes(after)];

    /// <summary>A body that comes in pieces.</summary>
    private sealed class Pieces(byte[] body, int piece) : MemoryStream(body, writable: false)
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            base.ReadAsync(buffer[..Math.Min(buffer.Length, piece)], cancellationToken);
    }
}
