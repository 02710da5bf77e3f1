using System.Runtime.CompilerServices;
using System.Text;
using Microsoft.Net.Http.Headers;
using Whatsit.Inference;
using Whatsit.Inference.Imaging;
using Whatsit.Server.Limits;

namespace Whatsit.Server.Predictions;

/// <summary>
/// The pictures of a request, in whichever way they were sent: multipart form (any part name), raw body, base64 text or a data URL in JSON, in a form or
/// alone, or a URL. What the body begins with decides; the content type is a hint that many clients get wrong. They are read one at a time, so that a request
/// never holds more than one picture in memory.
/// </summary>
internal sealed class ImageInput(LimitsOptions limits, ImageFetcher fetcher)
{
    private enum Kind
    {
        Picture,
        Json,
        Form,
        Base64,
        Text,
    }

    /// <summary>
    /// Reads the pictures, one after the other; each is only valid until the next. The fields beside them, up to the next picture, are in
    /// <paramref name="fields"/> then.
    /// </summary>
    /// <exception cref="InferenceException">
    /// <see cref="InferenceError.InvalidRequest"/>, <see cref="InferenceError.UnsupportedImage"/>, <see cref="InferenceError.ImageTooLarge"/> …
    /// </exception>
    public async IAsyncEnumerable<ReceivedFile> ReadAsync(HttpContext context, PredictFields fields,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var request = context.Request;
        var type = MediaTypeHeaderValue.TryParse(request.ContentType, out var parsed) ? parsed : null;
        using var body = new BodyReader(request.Body);
        // Enough to tell what it is, where a client sends its first bytes one by one.
        await body.FillAsync(PictureText.Sample, cancellationToken);
        if (body.Available.IsEmpty)
        {
            throw NoPicture("The request has no picture: its body is empty.");
        }

        var isMultipart = type?.MediaType.StartsWith("multipart/", StringComparison.OrdinalIgnoreCase) == true;
        if (isMultipart || body.Available.TrimStart("\r\n"u8).StartsWith("--"u8))
        {
            var boundary = type is null ? null : HeaderUtilities.RemoveQuotes(type.Boundary).Value;
            if (await MultipartBody.OpenAsync(body, boundary, cancellationToken) is { } parts)
            {
                await foreach (var file in ReadPartsAsync(parts, fields, request.ContentLength, context.Upload(), cancellationToken))
                {
                    yield return file;
                }

                yield break;
            }
        }

        var kind = KindOf(body.Available, type);
        if (isMultipart && !(kind == Kind.Picture ? ImageFormat.IsKnown(body.Available) : kind != Kind.Text))
        {
            throw new InferenceException(InferenceError.InvalidRequest, "multipart-boundary-missing",
                "The multipart content type has no usable boundary, and the body shows none.");
        }

        fields.IsComplete = true;
        using var only = await ReadWholeAsync(body, kind, request, type, fields, context.Upload(), cancellationToken);
        yield return only;
    }

    /// <summary>Whether a form's field of this name is a picture, whatever its text looks like.</summary>
    public static bool IsPictureField(string? name) => name is "image" or "file" or "photo" or "picture" or "img" or "data" or "b64";

    /// <summary>The refusal of a form with too many fields.</summary>
    public static InferenceException TooManyFields() => new(
        InferenceError.InvalidRequest,
        "too-many-fields",
        $"The form has more than {LimitsOptions.MaxFields} fields beside its pictures, the limit.",
        ("limit", LimitsOptions.MaxFields));

    private static Kind KindOf(ReadOnlySpan<byte> start, MediaTypeHeaderValue? type)
    {
        // RFC 8259, 8.1: a byte-order mark is no part of the text.
        var text = (start.StartsWith((ReadOnlySpan<byte>)[0xEF, 0xBB, 0xBF]) ? start[3..] : start).TrimStart(" \t\r\n"u8);
        return text.StartsWith("{"u8) || (IsJson(type) && !ImageFormat.IsKnown(start)) ? Kind.Json
            : PictureText.IsPicture(start) ? Kind.Picture
            : PictureText.IsBase64(start) ? Kind.Base64
            : FormBody.Is(start) ? Kind.Form
            : Kind.Text;
    }

    private static bool IsJson(MediaTypeHeaderValue? type) =>
        type is not null && (type.MediaType.Equals("application/json", StringComparison.OrdinalIgnoreCase)
            || type.MediaType.EndsWith("+json", StringComparison.OrdinalIgnoreCase));

    /// <summary>Reads the one picture of a body that has no parts.</summary>
    private async Task<ReceivedFile> ReadWholeAsync(
        BodyReader body, Kind kind, HttpRequest request, MediaTypeHeaderValue? type, PredictFields fields, Upload upload, CancellationToken cancellationToken)
    {
        // In a form, a tenth of base64's characters takes three bytes.
        var maxBytes = kind switch { Kind.Picture or Kind.Text => limits.MaxImageBytes, Kind.Form => limits.MaxTextBytes / 4 * 5, _ => limits.MaxTextBytes };
        var file = await ReceivedFile.ReadAsync(body, request.ContentLength, maxBytes, upload, cancellationToken);
        try
        {
            switch (kind)
            {
                case Kind.Json or Kind.Form:
                    var (image, url) = kind == Kind.Json ? JsonBody.Read(file.Memory.Span, fields)
                        : FormBody.Read(file.Memory.Span, fields, isPlain: type?.MediaType.Equals("text/plain", StringComparison.OrdinalIgnoreCase) == true);
                    if (image is not { } found)
                    {
                        file.Dispose();
                        return NotEmpty(await fetcher.FetchAsync(url ?? throw NoFile(), upload, cancellationToken));
                    }

                    Narrow(file, found);
                    break;
                case Kind.Base64:
                    Narrow(file, PictureText.Decode(file.Memory.Span, "body"));
                    break;
                case Kind.Text when PictureText.TypedName(file.Memory.Span, field: null) is { } typed:
                    throw typed;
                // No type, a picture's, a plain stream of bytes, or what curl says unasked: the decoder says what it is.
                case Kind.Text when request.ContentType is { Length: > 0 } named && !(type is not null && IsForBytes(type.MediaType.Value!)):
                    throw new InferenceException(
                        InferenceError.UnsupportedImage,
                        "unsupported-content-type",
                        $"The content type '{Refusal.Shorten(named)}' is not supported. Send multipart/form-data, image/*, application/octet-stream, "
                            + $"or application/json with {JsonBody.Example}.",
                        ("contentType", Refusal.Shorten(named)));
                case Kind.Picture when PictureText.LostBytes(file.Memory.Span) is { } lost:
                    throw lost;
            }

            return NotEmpty(file);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    private static bool IsForBytes(string type) =>
        type.StartsWith("image/", StringComparison.OrdinalIgnoreCase) || type is "application/octet-stream" or "application/x-www-form-urlencoded"
            or "binary/octet-stream";

    /// <summary>Reads the pictures of a multipart form. A picture waits for the fields behind it, and is given out when the next one begins.</summary>
    private async IAsyncEnumerable<ReceivedFile> ReadPartsAsync(
        MultipartBody parts, PredictFields fields, long? requestLength, Upload upload, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var (pictures, others, empty) = (0, 0, false);
        InferenceException? typed = null;
        ReceivedFile? waiting = null;
        try
        {
            while (await parts.NextAsync(cancellationToken) is { } part)
            {
                var start = await parts.PeekAsync(PictureText.Sample, cancellationToken);
                var isUrl = part is { Name: "url", FileName: null };
                if (!isUrl && !IsPicture(part, start.Span))
                {
                    if (++others > LimitsOptions.MaxFields)
                    {
                        throw TooManyFields();
                    }

                    if (part.FileName is not null)
                    {
                        // A file input of a page that was left empty: no name, no bytes.
                        empty = true;
                    }
                    else if (PredictFields.Knows(part.Name))
                    {
                        fields.Set(part.Name!, Encoding.UTF8.GetString(start.Span));
                    }
                    else
                    {
                        typed ??= PictureText.TypedName(start.Span, part.Name ?? "file");
                        fields.PassOver(part.Name ?? "");
                    }

                    continue;
                }

                // requests.post(url, files={'file': 'photo.jpg'}) sends the name as the file's content.
                if (PictureText.TypedName(start.Span, part.Name ?? "file") is { } name && !isUrl)
                {
                    typed ??= name;
                    continue;
                }

                if (++pictures > limits.MaxImagesPerRequest)
                {
                    throw new InferenceException(
                        InferenceError.InvalidRequest,
                        "too-many-pictures",
                        $"The request has more than {Counted.Of(limits.MaxImagesPerRequest, "picture")}, the limit.",
                        ("limit", limits.MaxImagesPerRequest));
                }

                if (waiting is not null)
                {
                    yield return waiting;
                    waiting.Dispose();
                    waiting = null;
                }

                waiting = isUrl
                    ? await fetcher.FetchAsync(Encoding.UTF8.GetString(start.Span), upload, cancellationToken)
                    : await ReadPartAsync(parts, part, start, requestLength, upload, cancellationToken);
                waiting.Name = part.FileName is { Length: > 0 } fileName ? fileName : null;
            }

            fields.IsComplete = true;
            yield return waiting ?? throw typed ?? (empty ? NoPicture("The form's file is empty. Choose a picture first.") : NoFile());
        }
        finally
        {
            waiting?.Dispose();
        }
    }

    /// <summary>Whether a part is a picture: a file, a picture's bytes or base64 text, or a field that can be nothing else.</summary>
    private static bool IsPicture(PartHeaders part, ReadOnlySpan<byte> start) =>
        part.FileName is not null ? part.FileName.Length > 0 || !start.IsEmpty
        : !PredictFields.Knows(part.Name) && !start.IsEmpty
            && (PictureText.IsPicture(start) || PictureText.IsBase64(start) || IsPictureField(part.Name)
                || (part.ContentType is { } type && (type.StartsWith("image/", StringComparison.OrdinalIgnoreCase)
                    || type.StartsWith("application/octet-stream", StringComparison.OrdinalIgnoreCase))));

    private async Task<ReceivedFile> ReadPartAsync(
        MultipartBody parts, PartHeaders part, ReadOnlyMemory<byte> start, long? requestLength, Upload upload, CancellationToken cancellationToken)
    {
        // What comes without a file's name and type is text, if it is not bytes.
        var isText = PictureText.IsBase64(start.Span) || (part is { FileName: null, ContentType: null } && !PictureText.IsPicture(start.Span));
        var maxBytes = isText ? limits.MaxTextBytes : limits.MaxImageBytes;
        // A part does not announce its length, but it cannot be longer than the request.
        var announced = requestLength is { } length && length <= maxBytes ? length : (long?)null;
        var file = await ReceivedFile.ReadAsync(parts, announced, maxBytes, upload, cancellationToken);
        try
        {
            if (isText)
            {
                Narrow(file, PictureText.Decode(file.Memory.Span, part.Name ?? "file"));
            }

            return PictureText.LostBytes(file.Memory.Span) is { } lost ? throw lost : file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    private void Narrow(ReceivedFile file, (int Start, int Length) picture)
    {
        if (picture.Length > limits.MaxImageBytes)
        {
            throw ReceivedFile.TooLarge(picture.Length, limits.MaxImageBytes);
        }

        file.Narrow(picture);
    }

    private static ReceivedFile NotEmpty(ReceivedFile file) => file.Memory.Length > 0 ? file : throw NoPicture("The request has no picture: it is empty.");

    private static InferenceException NoFile() => NoPicture("The form has no file. Send at least one part with a picture.");

    private static InferenceException NoPicture(string sentence) => new(InferenceError.InvalidRequest, "no-picture", sentence);
}
