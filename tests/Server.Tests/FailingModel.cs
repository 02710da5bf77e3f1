using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Whatsit.Server.Tests.Telemetry;

namespace Whatsit.Server.Tests;

/// <summary>A models folder with one model, <c>grocery</c>, that answers black pictures and fails, within ONNX Runtime, on all others.</summary>
internal sealed class FailingModel : IDisposable
{
    // PNGs of one pixel.
    public static readonly byte[] Black =
        Convert.FromBase64String("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGNgYGAAAAAEAAH2FzhVAAAAAElFTkSuQmCC");
    public static readonly byte[] White =
        Convert.FromBase64String("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4//8/AAX+Av4N70a4AAAAAElFTkSuQmCC");

    public FailingModel()
    {
        var folder = Directory.CreateDirectory(Path.Combine(Models, "grocery")).FullName;
        var network = Network();
        File.WriteAllBytes(Path.Combine(folder, "model.onnx"), network);
        File.WriteAllBytes(Path.Combine(folder, "black.png"), Black);
        File.WriteAllText(Path.Combine(folder, "labels.txt"), "dark\ndim\n");
        File.WriteAllText(Path.Combine(folder, "model.json"), new JsonObject
        {
            ["name"] = "grocery",
            ["version"] = "1",
            ["labels"] = "labels.txt",
            ["files"] = new JsonObject
            {
                ["fp32"] = new JsonObject
                {
                    ["file"] = "model.onnx",
                    ["bytes"] = network.Length,
                    ["sha256"] = Convert.ToHexStringLower(SHA256.HashData(network))
                }
            },
            ["input"] = new JsonObject { ["name"] = "image", ["type"] = "uint8", ["layout"] = "nhwc", ["width"] = 1, ["height"] = 1 },
            ["preprocessing"] = JsonNode.Parse(
                """
                {
                  "crop": "none", "resample": "pil-nearest", "rescale_factor": 1,
                  "image_mean": [0, 0, 0], "image_std": [1, 1, 1], "channel_order": "rgb"
                }
                """),
            ["sample"] = JsonNode.Parse("""{ "file": "black.png", "predictions": [{ "index": 0, "confidence": 0.75 }], "tolerance": 0.01 }"""),
            ["output"] = new JsonObject { ["name"] = "probabilities", ["kind"] = "probabilities" },
        }.ToJsonString());
    }

    public string Models { get; } = Directory.CreateTempSubdirectory("whatsit-failing-").FullName;

    public void Dispose() => Directory.Delete(Models, recursive: true);

    // Gather(table, max(pixels)), with a table of one row. Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
    private static byte[] Network()
    {
        byte[] table = [.. BitConverter.GetBytes(0.75f), .. BitConverter.GetBytes(0.25f)];
        var graph = Protobuf.Write(
            (1, Node("Cast", ["image"], "numbers", ("to", 6))),
            (1, Node("ReduceMax", ["numbers"], "brightest", ("keepdims", 1))),
            (1, Node("Gather", ["table", "brightest"], "probabilities", ("axis", 0))),
            (2, "failing"),
            (5, Protobuf.Write((1, 1), (1, 2), (2, 1), (8, "table"), (9, table))),
            (11, Value("image", 2, 1, 1, 1, 3)),
            (12, Value("probabilities", 1, 1, 1, 1, 1, 2)));
        return Protobuf.Write((1, 8), (7, graph), (8, Protobuf.Write((1, ""), (2, 13))));
    }

    private static byte[] Node(string type, string[] inputs, string output, (string Name, int Value) attribute) => Protobuf.Write(
        [.. inputs.Select(input => (1, (object)input)), (2, output), (4, type), (5, Protobuf.Write((1, attribute.Name), (3, attribute.Value), (20, 2)))]);

    private static byte[] Value(string name, int type, params int[] shape) => Protobuf.Write(
        (1, name),
        (2, Protobuf.Write((1, Protobuf.Write((1, type), (2, Protobuf.Write([.. shape.Select(side => (1, (object)Protobuf.Write((1, side))))])))))));
}
