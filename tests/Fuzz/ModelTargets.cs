using Whatsit.Inference.Catalog;
using Whatsit.Inference.Tests.Imaging;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats;
using Whatsit.ModelConversion.Formats.HuggingFace;
using Whatsit.ModelConversion.Formats.Keras;
using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Formats.TensorFlowJs;
using Whatsit.ModelConversion.Formats.TensorFlowLite;

namespace Whatsit.Fuzz;

/// <summary>Model files of every format, and the texts beside them.</summary>
internal static class ModelTargets
{
    public static Target[] All =>
    [
        new("onnx", 1500, Reader(new OnnxReader()), () => Target.Files("onnx", ".onnx")),
        new("tflite", 1500, Reader(new TensorFlowLiteReader(dequantize: true)), () => Target.Files("tflite", ".tflite")),
        new("hdf5", 1000, Reader(new KerasReader()), () => Target.Files("keras", ".h5")),
        new("keras", 1000, Reader(new KerasReader()), () => Target.Files("keras", ".keras")),
        new("tfjs", 1500, Reader(new TensorFlowJsReader(), "tfjs/layers", "model.json"), () => Target.Files("tfjs/layers", "model.json")),
        new("tfjs-graph", 1500, Reader(new TensorFlowJsReader(), "tfjs/convolutions", "model.json"), () => Target.Files("tfjs/convolutions", "model.json")),
        new("metadata", 1500, Reader(new TensorFlowJsReader(), "tfjs/layers", "metadata.json"), () => Target.Files("tfjs/layers", "metadata.json")),
        new("safetensors", 1500, Weights(), () => Target.Files("safetensors/vit", ".safetensors")),
        new("labels", 3000, In("labels.txt", null, path => LabelSource.Read(path)), Labels),
        new("manifest", 3000, In(Bundle.ManifestFile, null, path => Bundle.ReadManifest(Path.GetDirectoryName(path)!)), Manifests),
    ];

    private static Action<byte[]> Weights() => In("model.safetensors", "safetensors/vit", path => new TransformersReader().Read(path));

    private static Action<byte[]> Reader(IModelReader reader, string? beside = null, string name = "model") => In(name, beside, path =>
    {
        var model = beside is null ? path : Path.GetDirectoryName(path)!;
        if (!reader.CanRead(model))
        {
            throw new ModelFormatException("It is of another format.");
        }

        reader.Read(model);
    });

    /// <summary>Reads from a file in a folder of its own, with the files that belong beside it.</summary>
    private static Action<byte[]> In(string name, string? beside, Action<string> read)
    {
        // Named as the manifest names it; a model's own folder is made when it is first asked for.
        var folder = new Lazy<string>(() =>
        {
            var made = Path.Combine(Directory.CreateTempSubdirectory("fuzz-").FullName, "tiny");
            AppDomain.CurrentDomain.ProcessExit += (_, _) => Directory.Delete(Path.GetDirectoryName(made)!, recursive: true);
            Directory.CreateDirectory(made);
            foreach (var file in beside is null ? [] : Directory.EnumerateFiles(TestData.Path(beside, "")))
            {
                File.Copy(file, Path.Combine(made, Path.GetFileName(file)));
            }

            return made;
        });
        return input =>
        {
            var path = Path.Combine(folder.Value, name);
            File.WriteAllBytes(path, input);
            read(path);
        };
    }

    private static IEnumerable<(string Name, byte[] Bytes)> Labels() =>
    [
        ("lines", "apple\npear\tfruit\r\n\r\nplum\n"u8.ToArray()),
        ("list", """["apple","pear"]"""u8.ToArray()),
        ("indices", """{"apple":0,"pear":1}"""u8.ToArray()),
        ("by-index", """{"0":["n1","apple"],"1":["n2","pear"]}"""u8.ToArray()),
        ("metadata", """{"labels":["apple","pear"]}"""u8.ToArray()),
        ("numbered", "0 apple\n1 pear\n"u8.ToArray()),
    ];

    private static IEnumerable<(string Name, byte[] Bytes)> Manifests() =>
    [
        ("whole",
            """
            {"name":"tiny","version":"1","labels":"labels.txt","files":{"fp32":{"file":"model.onnx","bytes":10,"sha256":"00","approved":true}},
            "input":{"name":"image","type":"uint8","layout":"nhwc","width":8,"height":8},"preprocessing":{"resize":8,"crop":"center-square","mean":[0,0,0]},
            "output":{"name":"probabilities","kind":"logits"},"abstain":{"threshold":0.3},"metrics":{"fp32":{"top1":0.9}},
            "sample":{"file":"sample.png","predictions":[{"label":"apple","index":0,"confidence":0.9}],"tolerance":0.02},}
            """u8.ToArray()),
    ];
}
