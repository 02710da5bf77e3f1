using System.Net;
using System.Net.Http.Headers;
using System.Text.Json.Nodes;
using Whatsit.Server.Tests.Documentation;

namespace Whatsit.Server.Tests;

internal static class HttpAssert
{
    /// <summary>The answer is a problem of this status whose one sentence contains a text, and that gives nothing of the server away.</summary>
    public static async Task<JsonNode> ProblemAsync(HttpStatusCode status, string contains, HttpResponseMessage response)
    {
        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(status == response.StatusCode, $"{(int)response.StatusCode}: {text}");
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        var problem = JsonNode.Parse(text)!;
        Assert.Equal((int)status, (int)problem["status"]!);
        Assert.Contains(contains, (string)problem["detail"]!, StringComparison.OrdinalIgnoreCase);
        Assert.Contains((string)problem["code"]!, RefusalCodes.All);
        Assert.Equal((int)status, RefusalCodes.All[(string)problem["code"]!].Status);
        Assert.All(problem["parameters"]?.AsObject() ?? [], parameter => Assert.Contains(parameter.Key, RefusalCodes.All[(string)problem["code"]!].Parameters));
        Contract.HasRefusal(response.RequestMessage, problem);
        Assert.DoesNotContain("   at ", text, StringComparison.Ordinal);
        Assert.DoesNotContain(WhatsitServer.Root, text, StringComparison.Ordinal);
        return problem;
    }

    public static async Task<JsonNode> OkAsync(HttpResponseMessage response)
    {
        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(response.StatusCode == HttpStatusCode.OK, $"{(int)response.StatusCode}: {text}");
        return JsonNode.Parse(text)!;
    }

    public static ByteArrayContent Raw(byte[] file, string? type = null)
    {
        var content = new ByteArrayContent(file);
        content.Headers.ContentType = type is null ? null : MediaTypeHeaderValue.Parse(type);
        return content;
    }

    public static MultipartFormDataContent Form(params (string Part, byte[] File)[] files)
    {
        var form = new MultipartFormDataContent();
        foreach (var (part, file) in files)
        {
            form.Add(Raw(file), part, "photo.bin");
        }

        return form;
    }
}
