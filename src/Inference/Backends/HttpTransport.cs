using System.Globalization;
using System.Net;
using System.Text.Json;
using Whatsit.Inference.Catalog;

namespace Whatsit.Inference.Backends;

/// <summary>The Open Inference Protocol over HTTP: JSON, and tensors as bytes behind it where the server takes them.</summary>
internal sealed class HttpTransport : IRemoteTransport
{
    private const int MostMetadata = 1024 * 1024;

    private readonly HttpClient _http;
    private readonly string _path;
    private bool _isBinary = true;

    public HttpTransport(HttpClient http, Uri address, RemoteSpec remote, string model)
    {
        _http = http;
        _http.BaseAddress = new Uri(address.AbsoluteUri.TrimEnd('/') + "/");
        _path = $"v2/models/{Uri.EscapeDataString(model)}" + (remote.Version is null ? "" : $"/versions/{Uri.EscapeDataString(remote.Version)}");
    }

    public string ReadyRoute => $"/{_path}/ready";

    public string MetadataRoute => $"/{_path}";

    public async Task<RemoteReply> CheckReadyAsync(CancellationToken cancellationToken)
    {
        using var response = await SendAsync(_path + "/ready", cancellationToken).ConfigureAwait(false);
        return response.StatusCode == HttpStatusCode.OK ? RemoteReply.Done : await RefusalOf(response, cancellationToken).ConfigureAwait(false);
    }

    public async Task<RemoteReply> DescribeAsync(CancellationToken cancellationToken)
    {
        var answers = await Task.WhenAll(((string[])[_path, _path + "/config", "v2"]).Select(path => GetAsync(path, cancellationToken))).ConfigureAwait(false);
        if (answers[0] is not { } metadata)
        {
            return RemoteReply.Done;
        }

        _isBinary = TakesBytes(answers[2]);
        return new(RemoteOutcome.Done, Metadata: new(Tensors(metadata, "inputs"), Tensors(metadata, "outputs"), MaxBatchSizeOf(answers[1])));
    }

    public async Task<RemoteReply> InferAsync(RemoteContract contract, IReadOnlyList<RemoteTensors> batch, string[] outputs, TimeSpan within,
        CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, _path + "/infer")
        {
            Content = RemoteMessages.Ask(contract, _isBinary, batch, outputs, within),
        };
        using var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken).ConfigureAwait(false);
        if (response.StatusCode != HttpStatusCode.OK)
        {
            return await RefusalOf(response, cancellationToken).ConfigureAwait(false);
        }

        await RemoteMessages.ReadAsync(contract, response, batch, outputs, cancellationToken).ConfigureAwait(false);
        return RemoteReply.Done;
    }

    public void Dispose() => _http.Dispose();

    private static async Task<RemoteReply> RefusalOf(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var outcome = response.StatusCode switch
        {
            HttpStatusCode.TooManyRequests => RemoteOutcome.Busy,
            HttpStatusCode.ServiceUnavailable => RemoteOutcome.NotReady,
            HttpStatusCode.GatewayTimeout => RemoteOutcome.Late,
            HttpStatusCode.NotFound or HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden => RemoteOutcome.Refused,
            HttpStatusCode.InternalServerError or HttpStatusCode.BadGateway => RemoteOutcome.Failed,
            _ => RemoteOutcome.Rejected,
        };
        var error = await RemoteMessages.ReadErrorAsync(response, cancellationToken).ConfigureAwait(false);
        return new(outcome, error is null ? $"{(int)response.StatusCode}" : $"{(int)response.StatusCode}: {error}");
    }

    private async Task<JsonElement?> GetAsync(string path, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(path, cancellationToken).ConfigureAwait(false);
        if (response.StatusCode != HttpStatusCode.OK)
        {
            return null;
        }

        try
        {
            using var json = JsonDocument.Parse(await RemoteMessages.ReadBodyAsync(response.Content, MostMetadata, cancellationToken).ConfigureAwait(false));
            return json.RootElement.Clone();
        }
        catch (Exception exception) when (exception is JsonException or InvalidDataException)
        {
            return null;
        }
    }

    private Task<HttpResponseMessage> SendAsync(string path, CancellationToken cancellationToken) =>
        _http.GetAsync(new Uri(path, UriKind.Relative), HttpCompletionOption.ResponseHeadersRead, cancellationToken);

    private static int? MaxBatchSizeOf(JsonElement? configuration) =>
        configuration is { ValueKind: JsonValueKind.Object } known && known.TryGetProperty("max_batch_size", out var most)
            && most.ValueKind == JsonValueKind.Number && most.TryGetInt32(out var number) ? number : null;

    /// <summary>Those that list their extensions without this one get numbers in JSON; those that list none are taken at the protocol's word.</summary>
    private static bool TakesBytes(JsonElement? server) => server is not { ValueKind: JsonValueKind.Object } known
        || !known.TryGetProperty("extensions", out var extensions) || extensions.ValueKind != JsonValueKind.Array || extensions.GetArrayLength() == 0
        || extensions.EnumerateArray().Any(extension => extension.ValueKind == JsonValueKind.String && extension.ValueEquals("binary_tensor_data"));

    private static List<TensorSpec> Tensors(JsonElement metadata, string member)
    {
        var tensors = new List<TensorSpec>();
        if (metadata.ValueKind == JsonValueKind.Object && metadata.TryGetProperty(member, out var list) && list.ValueKind == JsonValueKind.Array)
        {
            foreach (var tensor in list.EnumerateArray())
            {
                long[] shape = [.. tensor.GetProperty("shape").EnumerateArray().Select(ToInt64)];
                if (TensorTypes.OfOpenInference(tensor.GetProperty("datatype").GetString() ?? "") is { } type)
                {
                    tensors.Add(new(tensor.GetProperty("name").GetString() ?? "", type, shape));
                }
            }
        }

        return tensors;

        // Some servers write 64-bit numbers as texts.
        static long ToInt64(JsonElement side) =>
            side.ValueKind == JsonValueKind.String ? long.Parse(side.GetString()!, CultureInfo.InvariantCulture) : side.GetInt64();
    }
}
