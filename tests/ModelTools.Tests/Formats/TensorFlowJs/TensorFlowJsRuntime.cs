using System.Diagnostics;
using System.Text.Json.Nodes;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelTools.Tests.Formats.TensorFlowLite;

namespace Whatsit.ModelTools.Tests.Formats.TensorFlowJs;

/// <summary>TensorFlow.js itself, from the client's npm packages, in a process of Node.js: <c>tests/data/tfjs/run.mjs</c>.</summary>
public sealed class TensorFlowJsRuntime : IDisposable
{
    private readonly Lazy<Process> _node = new(() =>
        Process.Start(new ProcessStartInfo("node", [Golden.Data("tfjs/run.mjs")])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true
        })!);

    /// <summary>What TensorFlow.js answers for the model in a folder. The test is skipped where the client's packages or Node.js are missing.</summary>
    internal IReadOnlyDictionary<string, Tensor> Run(string model, Tensor input, string backend = "wasm")
    {
        Assert.SkipUnless(Directory.Exists(Path.Combine(Golden.Repository, "client/node_modules/@tensorflow/tfjs-converter")),
            "The client's packages are not installed: cd client && npm ci --ignore-scripts");
        var node = _node.Value;
        node.StandardInput.WriteLine(new JsonObject
        {
            ["model"] = model,
            ["backend"] = backend,
            ["shape"] = new JsonArray([.. input.Shape.Select(side => JsonValue.Create(side))]),
            ["input"] = Convert.ToBase64String(input.Data.Span),
        }.ToJsonString());
        var line = node.StandardOutput.ReadLine() ?? throw new InvalidOperationException($"Node.js ended: {node.StandardError.ReadToEnd()}");
        var answer = JsonNode.Parse(line)!;
        Assert.True(answer["error"] is null, $"TensorFlow.js on {backend}: {answer["error"]}");
        return answer["outputs"]!.AsObject().ToDictionary(
            output => output.Key,
            output => new Tensor(ElementType.Float32, [.. output.Value!["shape"]!.AsArray().Select(side => (int)side!)],
                Convert.FromBase64String((string)output.Value["data"]!)));
    }

    public void Dispose()
    {
        if (_node.IsValueCreated)
        {
            _node.Value.StandardInput.Close();
            _node.Value.WaitForExit();
            _node.Value.Dispose();
        }
    }
}
