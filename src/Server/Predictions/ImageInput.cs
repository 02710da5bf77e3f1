using System.Buffers;
using System.Buffers.Text;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Net.Http.Headers;
using Whatsit.Inference;

namespace Whatsit.Server.Predictions;

/// <summary>
/// The pictures of a request, in whichever way they were sent: multipart form (any part name), raw body, or JSON with base64 text, a data URL or a URL.
/// They are read one at a time, so that a request never holds more than one picture in memory.
/// </summary>
public sealed class ImageInput(LimitsOptions limits, UploadBudget budget, ImageFetcher fetcher)
{
    /// <summary>Whether several pictures may come, and a list is the answer.</summary>
    public static bool IsMultipart(HttpRequest request) => MediaTypeHeaderValue.TryParse(request.ContentType, out var type) && type.MediaType.StartsWith("multipart/", StringComparison.OrdinalIgnoreCase);

    /// <summary>Reads the one picture of a request that is not multipart.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceError.InvalidRequest"/>, <see cref="InferenceError.UnsupportedImage"/>, <see cref="InferenceError.ImageTooLarge"/> …</exception>
    public async Task<ReceivedFile> ReadAsync(HttpRequest request, CancellationToken cancellationToken)
    {
        var contentType = request.ContentType;
        var type = MediaTypeHeaderValue.TryParse(contentType, out var parsed) ? parsed.MediaType.Value : null;
        if (type is not null && (type.Equals("application/json", StringComparison.OrdinalIgnoreCase) || type.EndsWith("+json", StringComparison.OrdinalIgnoreCase)))
        {
            return await ReadJsonAsync(request, cancellationToken);
        }

        // No type, a picture's, a plain stream of bytes, or what curl --data-binary says unasked: the content decides what it is.
        if (string.IsNullOrEmpty(contentType) || type is "application/octet-stream" or "application/x-www-form-urlencoded" or "binary/octet-stream"
            || (type is not null && type.StartsWith("image/", StringComparison.OrdinalIgnoreCase)))
        {
            return NotEmpty(await ReceivedFile.ReadAsync(request.Body, request.ContentLength, limits.MaxImageBytes, budget, cancellationToken));
        }

        throw new InferenceException(
            InferenceError.UnsupportedImage,
            $"The content type '{contentType}' is not supported. Send multipart/form-data, image/*, application/octet-stream, or application/json with {{\"image\":\"<base64>\"}}.");
    }

    /// <summary>Reads the pictures of a multipart request, one after the other; each is only valid until the next.</summary>
    public async IAsyncEnumerable<ReceivedFile> ReadPartsAsync(HttpRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var boundary = HeaderUtilities.RemoveQuotes(MediaTypeHeaderValue.Parse(request.ContentType).Boundary).Value;
        if (string.IsNullOrEmpty(boundary) || boundary.Length > 200)
        {
            throw new InferenceException(InferenceError.InvalidRequest, "The multipart content type has no usable boundary.");
        }

        var reader = new MultipartReader(boundary, request.Body);
        var pictures = 0;
        while (await NextSectionAsync(reader, cancellationToken) is { } section)
        {
            // A part without a file name may be a form field of ours (topK as a field); one with a type of its own is a picture all the same.
            if (!IsFile(section))
            {
                continue;
            }

            if (++pictures > limits.MaxImagesPerRequest)
            {
                throw new InferenceException(InferenceError.InvalidRequest, $"The request has more than {limits.MaxImagesPerRequest} pictures, the limit.");
            }

            using var file = await ReadPartAsync(section, request.ContentLength, cancellationToken);
            file.Name = NameOf(section);
            yield return file;
        }

        if (pictures == 0)
        {
            throw new InferenceException(InferenceError.InvalidRequest, "The form has no file. Send at least one part with a picture.");
        }
    }

    private async Task<ReceivedFile> ReadPartAsync(MultipartSection section, long? requestLength, CancellationToken cancellationToken)
    {
        try
        {
            // A part does not announce its length, but it cannot be longer than the request.
            var announced = requestLength is { } length && length <= limits.MaxImageBytes ? length : (long?)null;
            return await ReceivedFile.ReadAsync(section.Body, announced, limits.MaxImageBytes, budget, cancellationToken);
        }
        catch (IOException exception) when (exception is not (BadHttpRequestException or ConnectionResetException))
        {
            throw Malformed(exception);
        }
    }

    private static async Task<MultipartSection?> NextSectionAsync(MultipartReader reader, CancellationToken cancellationToken)
    {
        try
        {
            return await reader.ReadNextSectionAsync(cancellationToken);
        }
        catch (Exception exception) when (exception is InvalidDataException or (IOException and not (BadHttpRequestException or ConnectionResetException)))
        {
            throw Malformed(exception);
        }
    }

    private static InferenceException Malformed(Exception exception) => new(InferenceError.InvalidRequest, "The multipart body is malformed or ends too early.", exception);

    private static bool IsFile(MultipartSection section) =>
        ContentDispositionHeaderValue.TryParse(section.ContentDisposition, out var disposition) && disposition.DispositionType.Equals("form-data", StringComparison.OrdinalIgnoreCase)
            ? disposition.FileName.HasValue || disposition.FileNameStar.HasValue || section.ContentType is not null
            : true;

    private static string? NameOf(MultipartSection section)
    {
        // RFC 5987's form is for what ASCII cannot write, and comes first.
        var name = ContentDispositionHeaderValue.TryParse(section.ContentDisposition, out var disposition)
            ? disposition.FileNameStar.Value ?? HeaderUtilities.RemoveQuotes(disposition.FileName).Value
            : null;
        return string.IsNullOrEmpty(name) ? null : name;
    }

    private async Task<ReceivedFile> ReadJsonAsync(HttpRequest request, CancellationToken cancellationToken)
    {
        // Base64 is a third longer than what it encodes; some room for the other members.
        var maxBytes = (int)Math.Min(int.MaxValue - 1, (limits.MaxImageBytes * 4L / 3) + 4096);
        var body = await ReceivedFile.ReadAsync(request.Body, request.ContentLength, maxBytes, budget, cancellationToken);
        try
        {
            if (FindImage(body.Memory.Span, out var url) is { } image)
            {
                body.Narrow(image);
                if (image.Length > limits.MaxImageBytes)
                {
                    throw new InferenceException(InferenceError.ImageTooLarge, $"The picture has {image.Length:N0} bytes; the limit is {limits.MaxImageBytes:N0}.");
                }

                return NotEmpty(body);
            }

            body.Dispose();
            return NotEmpty(await fetcher.FetchAsync(url!, cancellationToken));
        }
        catch
        {
            body.Dispose();
            throw;
        }
    }

    /// <summary>Finds the member "image" and decodes it where it lies, or the member "url".</summary>
    private static (int Start, int Length)? FindImage(Span<byte> json, out string? url)
    {
        url = null;
        try
        {
            var reader = new Utf8JsonReader(json);
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            {
                throw Missing();
            }

            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var isImage = reader.ValueTextEquals("image"u8);
                var isUrl = reader.ValueTextEquals("url"u8);
                reader.Read();
                if ((isImage || isUrl) && reader.TokenType != JsonTokenType.String)
                {
                    throw new InferenceException(InferenceError.InvalidRequest, $"\"{(isImage ? "image" : "url")}\" must be a string.");
                }

                if (isImage)
                {
                    // The token's quotes stand before and after its value.
                    var start = (int)reader.TokenStartIndex + 1;
                    var text = json.Slice(start, reader.ValueSpan.Length);
                    var length = reader.ValueIsEscaped ? reader.CopyString(text) : text.Length;
                    return Decode(text[..length], start);
                }

                if (isUrl)
                {
                    url = reader.GetString();
                    return null;
                }

                reader.Skip();
            }

            throw Missing();
        }
        catch (JsonException exception)
        {
            throw new InferenceException(InferenceError.InvalidRequest, "The body is no valid JSON.", exception);
        }

        static InferenceException Missing() => new(InferenceError.InvalidRequest, "The JSON body must be an object with \"image\": base64 text or a data URL.");
    }

    private static (int Start, int Length) Decode(Span<byte> text, int start)
    {
        // RFC 2397: data:[<mediatype>][;base64],<data>
        if (text.StartsWith("data:"u8))
        {
            var comma = text.IndexOf((byte)',');
            if (comma < 0 || !text[..comma].EndsWith(";base64"u8))
            {
                throw new InferenceException(InferenceError.InvalidRequest, "The data URL in \"image\" is not base64.");
            }

            text = text[(comma + 1)..];
            start += comma + 1;
        }

        return Base64.DecodeFromUtf8InPlace(text, out var length) == OperationStatus.Done
            ? (start, length)
            : throw new InferenceException(InferenceError.InvalidRequest, "\"image\" is no valid base64 text.");
    }

    private static ReceivedFile NotEmpty(ReceivedFile file)
    {
        if (file.Memory.Length > 0)
        {
            return file;
        }

        file.Dispose();
        throw new InferenceException(InferenceError.InvalidRequest, "The request has no picture: its body is empty.");
    }
}
