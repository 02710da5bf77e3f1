namespace Whatsit.Server;

/// <summary>
/// Every code that a refusal or a warning may carry: the README's table and the OpenAPI document are made of it, and a test sees to it that answers have no
/// other.
/// </summary>
internal static class RefusalCodes
{
    /// <summary>Its status (nothing: a warning of an answer with 200) and the names of its parameters, of which some may be absent.</summary>
    public static IReadOnlyDictionary<string, (int? Status, string[] Parameters)> All { get; } = new Dictionary<string, (int? Status, string[] Parameters)>
    {
        ["invalid-request"] = (400, []),
        ["malformed-request"] = (400, []),
        ["no-picture"] = (400, []),
        ["invalid-parameter"] = (400, ["name", "value", "least", "most"]),
        ["file-name-instead-of-file"] = (400, ["text", "type"]),
        ["line-breaks-lost"] = (400, ["type"]),
        ["invalid-base64"] = (400, ["field"]),
        ["base64-plus-became-space"] = (400, ["field"]),
        ["data-url-not-base64"] = (400, ["field"]),
        ["json-shape"] = (400, ["example"]),
        ["field-too-late"] = (400, []),
        ["multipart-malformed"] = (400, []),
        ["multipart-boundary-missing"] = (400, []),
        ["part-header-too-long"] = (400, ["limit"]),
        ["too-many-part-headers"] = (400, ["limit"]),
        ["too-many-fields"] = (400, ["limit"]),
        ["too-many-pictures"] = (400, ["limit"]),
        ["bad-content-encoding"] = (400, []),
        ["url-off"] = (400, []),
        ["invalid-url"] = (400, []),
        ["url-port"] = (400, ["port"]),
        ["host-not-public"] = (400, ["host"]),
        ["api-key-needed"] = (401, []),
        ["model-not-found"] = (404, ["model"]),
        ["route-not-found"] = (404, ["path", "routes"]),
        ["method-not-allowed"] = (405, ["method", "allowed", "routes"]),
        ["upload-too-slow"] = (408, ["seconds", "bytesPerSecond"]),
        ["upload-gave-way"] = (408, []),
        ["image-too-large"] = (413, ["format", "width", "height", "what", "value", "limit"]),
        ["file-too-large"] = (413, ["bytes", "limit"]),
        ["request-too-large"] = (413, ["bytes", "limit"]),
        ["unsupported-image"] = (415, ["format"]),
        ["unsupported-content-type"] = (415, ["contentType"]),
        ["unsupported-content-encoding"] = (415, ["encoding"]),
        ["decoder-ended"] = (422, ["format"]),
        ["invalid-image"] = (422, ["format", "row", "height"]),
        ["queue-full"] = (429, ["limit"]),
        ["upload-memory-used"] = (429, ["limit"]),
        ["upload-share-used"] = (429, ["limit"]),
        ["too-many-fetches"] = (429, ["limit"]),
        ["rate-limited"] = (429, ["requestsPerMinute", "retryAfterSeconds"]),
        ["client-left"] = (499, []),
        ["backend-failed"] = (500, []),
        ["internal-error"] = (500, []),
        ["upstream-failed"] = (502, []),
        ["model-not-ready"] = (503, []),
        ["shutting-down"] = (503, []),
        ["too-many-connections"] = (503, ["limit"]),
        ["timed-out"] = (504, ["seconds"]),
        ["unknown-field"] = (null, ["field"]),
        ["image-truncated"] = (null, ["missing", "height"]),
        ["image-end-missing"] = (null, []),
        ["color-profile-ignored"] = (null, []),
    };
}
