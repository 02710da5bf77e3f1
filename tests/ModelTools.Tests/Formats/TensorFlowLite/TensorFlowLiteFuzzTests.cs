using Whatsit.ModelConversion.Formats.TensorFlowLite;

namespace Whatsit.ModelTools.Tests.Formats.TensorFlowLite;

public sealed class TensorFlowLiteFuzzTests
{
    public static TheoryData<string> Files =>
        [.. Directory.EnumerateFiles(Golden.Data("tflite"), "*.tflite").Select(path => Path.GetFileName(path)!).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Files))]
    public void A_damaged_model_is_read_or_refused_in_bounded_time_and_memory(string file)
    {
        var original = File.ReadAllBytes(Golden.Data(Path.Combine("tflite", file)));
        foreach (var dequantize in new[] { false, true })
        {
            using var damaged = new DamagedFile(new TensorFlowLiteReader(dequantize));
            DamagedFiles.AssertBounded(200, refusedAtLeast: 25, damaged.Read, (_, random) => Damage.Apply(original, random));
        }
    }
}
