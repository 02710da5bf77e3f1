using System.Text.Json;
using System.Text.Json.Nodes;
using Whatsit.Inference;
using Whatsit.Server.Predictions;

namespace Whatsit.Server.Documentation;

/// <summary>What each code of <see cref="RefusalCodes"/> looks like in an answer; the tests see to it that none is without.</summary>
internal static class ProblemExamples
{
    /// <summary>The warnings, which stand in an answer with 200.</summary>
    public static IReadOnlyList<Warning> Warnings { get; } =
    [
        Warning.Of("unknown-field", "The field 'topk' is not known and was passed over; model, topK and explain are.", ("field", "topk")),
        Warning.Of("image-truncated", "The last 8 of the picture's 3024 rows are missing or damaged.", ("missing", 8), ("height", 3024)),
        Warning.Of("image-end-missing", "The file lacks its end marker, as after an interrupted transfer; all of its pixels are there."),
        Warning.Of("image-data-left",
            "The file holds more coded data than its pixels need: parts of the picture may be damaged, or not where they belong."),
        Warning.Of("image-passes-missing",
            "The progressive JPEG ends before its last passes, as after an interrupted transfer: all of its pixels are there, without fine detail."),
        Warning.Of("color-profile-ignored", "The picture has a colour profile that this server does not apply: its colours were taken for sRGB."),
    ];

    /// <summary>The refusals, by their codes.</summary>
    public static IReadOnlyDictionary<string, Refusal> Refusals { get; } = new[]
    {
        Of("invalid-request", "Invalid request", "The body is no valid JSON."),
        Of("malformed-request", "Invalid request", "The request is malformed or ended too early."),
        Of("no-picture", "Invalid request", "The request has no picture: its body is empty."),
        Of("invalid-parameter", "Invalid request", "topK is 500; it must be from 1 to 81, the number of classes.",
            ("name", "topK"), ("value", 500), ("least", 1), ("most", 81)),
        Of("file-name-instead-of-file", "Invalid request",
            "The field 'file' is the text 'photo.jpg', not the file. With curl, type: -F file=@photo.jpg",
            ("text", "photo.jpg"), ("type", "-F file=@photo.jpg")),
        Of("line-breaks-lost", "Invalid request", "The picture has lost its line breaks: curl -d takes them out. Type --data-binary in place of -d.",
            ("type", "--data-binary")),
        Of("invalid-base64", "Invalid request", "\"image\" is no valid base64 text.", ("field", "image")),
        Of("base64-plus-became-space", "Invalid request",
            "The base64 text in \"image\" has spaces where '+' stood: in a form, + means a space. Encode it: curl --data-urlencode does.", ("field", "image")),
        Of("data-url-not-base64", "Invalid request", "The data URL in \"image\" is not base64.", ("field", "image")),
        Of("json-shape", "Invalid request", $"The JSON body has no \"image\". Send the picture as base64 text, like this: {JsonBody.Example}",
            ("example", JsonBody.Example)),
        Of("field-too-late", "Invalid request", "The fields model and explain must stand before the second picture of a form."),
        Of("multipart-malformed", "Invalid request", "The multipart body is malformed or ends too early."),
        Of("multipart-boundary-missing", "Invalid request", "The multipart content type has no usable boundary, and the body shows none."),
        Of("part-header-too-long", "Invalid request", "A header of a part of the form is longer than 8,192 bytes, the limit.", ("limit", 8192)),
        Of("too-many-part-headers", "Invalid request", "A part of the form has more than 16 headers, the limit.", ("limit", 16)),
        Of("too-many-fields", "Invalid request", "The form has more than 32 fields beside its pictures, the limit.", ("limit", 32)),
        Of("too-many-pictures", "Invalid request", "The request has more than 32 pictures, the limit.", ("limit", 32)),
        Of("bad-content-encoding", "Invalid request", "The body is not packed as its Content-Encoding says, or ends too early."),
        Of("url-off", "Invalid request", "Pictures by URL are switched off on this server (FetchByUrl:Enabled)."),
        Of("invalid-url", "Invalid request", "The URL must be an absolute http or https URL without a user name."),
        Of("url-port", "Invalid request", "The URL's port 8080 is not allowed here (FetchByUrl:Ports).", ("port", 8080)),
        Of("host-not-public", "Invalid request", "The host 'localhost' is unknown or not on the public internet.", ("host", "localhost")),
        Of("invalid-model-name", "Invalid request",
            "'my flowers' cannot be a model's name: it stands in URLs and is a folder. Use letters, digits, '-', '_' and '.', at most 64.",
            ("name", "my flowers")),
        Of("api-key-needed", "No access",
            "This server asks for an API key, and the request has none that it knows. Send it as the header \"Authorization: Bearer KEY\"."),
        Of("management-key-needed", "No access",
            "This asks for the key of those who run the server, and the request has another or none. Send it as the header \"Authorization: Bearer KEY\"."),
        Of("management-off", "Not allowed", "This server's models cannot be changed from here: it has no key for that (Management:KeySha256)."),
        Of("model-not-found", "Unknown model", "There is no model 'flowers'. There is grocery.", ("model", "flowers")),
        Of("route-not-found", "No such route", "There is no '/classify' here. Pictures go to POST /predict.",
            ("path", "/classify"), ("routes", (string[])["GET /models", "POST /predict"])),
        Of("method-not-allowed", "Wrong method", "GET is not possible at '/predict'; POST, PUT is.",
            ("method", "GET"), ("allowed", "POST, PUT"), ("routes", (string[])["GET /models", "POST /predict"])),
        Of("upload-too-slow", "Too slow", "The upload paused for 10 seconds, or came with less than 1,000 bytes per second, and was given up.",
            ("seconds", 10), ("bytesPerSecond", 1000)),
        Of("upload-gave-way", "Too slow", "The upload had stalled, and its memory was needed for others. Try again in a moment."),
        Of("model-from-settings", "Not here", "'flowers' comes from the settings (Catalog:Sources), and is changed there.", ("name", "flowers")),
        Of("default-model-needed", "Needed",
            "'grocery' answers where a request names no model; without it the server would not be ready. Put another one in its place.", ("name", "grocery")),
        Of("precondition-failed", "Not the same", "The file is not, or no longer, the one that the request's conditions name."),
        Of("image-too-large", "Too large", "The picture has 30000 × 30000 = 900,000,000 pixels; the limit is 200,000,000.",
            ("format", "png"), ("width", 30_000), ("height", 30_000), ("what", "pixels"), ("value", 900_000_000), ("limit", 200_000_000)),
        Of("file-too-large", "Too large", "The file has 70,000,000 bytes; the limit is 67,108,864.", ("bytes", 70_000_000), ("limit", 67_108_864)),
        Of("request-too-large", "Too large", "The request has 300,000,000 bytes; the limit is 268,697,600.", ("bytes", 300_000_000), ("limit", 268_697_600)),
        Of("bundle-too-large", "Too large", "The bundle has more than 1,000,000,000 bytes, the limit (Catalog:MaxBundleBytes).", ("limit", 1_000_000_000)),
        Of("unsupported-image", "Unsupported format",
            "HEIC pictures are not supported by this server: share the photo as JPEG (on the iPhone: Settings > Camera > Formats > Most Compatible), or let "
            + "the server use a libvips that reads HEIC (setting Decoding:LibvipsPath).", ("format", "heic")),
        Of("unsupported-content-type", "Unsupported format",
            "The content type 'text/html' is not supported. Send multipart/form-data, image/*, application/octet-stream, or application/json with "
            + $"{JsonBody.Example}.", ("contentType", "text/html")),
        Of("unsupported-content-encoding", "Unsupported encoding", "The content encoding 'zstd' is not supported. Send gzip, deflate, br or none.",
            ("encoding", "zstd")),
        Of("range-not-satisfiable", "No such range", "The range 'bytes=1000-' lies outside of the file, which has 946 bytes.",
            ("range", "bytes=1000-"), ("bytes", 946)),
        Of("decoder-ended", "Unreadable picture",
            "The TIFF picture ended the process that decoded it: it is damaged, or takes more memory or time than a picture of its size needs.",
            ("format", "tiff")),
        Of("invalid-image", "Unreadable picture", "The JPEG picture is truncated or damaged from row 1200 of 3024 on.",
            ("format", "jpeg"), ("row", 1200), ("height", 3024)),
        Of("invalid-bundle", "Not a working bundle", "The zip 'flowers.zip' is no bundle: it has no model.json, neither at its top nor in its one folder."),
        Of("queue-full", "Too busy", "As many requests wait as may (64). Try again in a moment.", ("limit", 64)),
        Of("upload-memory-used", "Too busy", "Uploads in memory are at their limit of 134,217,728 bytes. Try again in a moment.", ("limit", 134_217_728)),
        Of("upload-share-used", "Too busy", "Your uploads in memory are at their limit of 89,486,677 bytes. Try again in a moment.", ("limit", 89_486_677)),
        Of("too-many-fetches", "Too busy", "The server fetches 8 pictures already, its limit. Try again in a moment.", ("limit", 8)),
        Of("rate-limited", "Too busy", "You have sent more than 60 requests per minute, your limit. Try again in 7 s.",
            ("requestsPerMinute", 60), ("retryAfterSeconds", 7)),
        Of("bundle-in-progress", "Too busy", "Another bundle is being put on the server. Try again when it is done."),
        Of("client-left", "Client closed request", "The client left before the answer."),
        Of("backend-failed", "The model failed", "The model failed on this picture."),
        Of("internal-error", "Internal error", "Something went wrong on the server. It has been logged."),
        Of("upstream-failed", "Fetching failed", "The URL answered with status 404."),
        Of("model-not-ready", "Model not ready", "The model 'grocery' is still loading. Try again in a moment."),
        Of("shutting-down", "Shutting down", "The server is shutting down, and the upload had not come to its end. Send it again."),
        Of("too-many-connections", "Too busy", "The server has 10,000 connections, its limit. Try again in a moment.", ("limit", 10_000)),
        Of("timed-out", "Took too long", "The answer took longer than 30 seconds and was given up.", ("seconds", 30)),
        Of("models-not-writable", "Not writable",
            "The models folder cannot be written: it is read-only, or the disk is full. The cause has been logged."),
    }.ToDictionary(refusal => refusal.Code);

    /// <summary>Bodies of refusals, and warnings, by their codes.</summary>
    public static IReadOnlyDictionary<string, JsonNode> All { get; } = Refusals.Values
        .Select(refusal => (refusal.Code, Json: JsonSerializer.SerializeToNode(refusal.ToProblem(), ReadableJson.Predictions.ProblemDetails)!))
        .Concat(Warnings.Select(warning => (warning.Code, Json: JsonSerializer.SerializeToNode(warning, ReadableJson.Predictions.Warning)!)))
        .ToDictionary(example => example.Code, example => example.Json);

    private static Refusal Of(string code, string title, string detail, params (string Name, object Value)[] parameters) =>
        new(RefusalCodes.All[code].Status!.Value, title, code, detail, parameters.ToDictionary(parameter => parameter.Name, parameter => parameter.Value));
}
