using System.Diagnostics;
using Whatsit.ModelTools.Formats;
using Whatsit.ModelTools.Formats.TensorFlowLite;
using Whatsit.ModelTools.Tests.Formats.Keras;

namespace Whatsit.ModelTools.Tests.Formats.TensorFlowLite;

public sealed class TensorFlowLiteFuzzTests
{
    public static TheoryData<string> Files => [.. Directory.EnumerateFiles(Golden.Data("tflite"), "*.tflite").Select(path => Path.GetFileName(path)!).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Files))]
    public void A_damaged_model_is_read_or_refused_in_bounded_time_and_memory(string file)
    {
        byte[] original = File.ReadAllBytes(Golden.Data(Path.Combine("tflite", file)));
        string path = Path.GetTempFileName();
        int refused = 0;
        try
        {
            for (int seed = 0; seed < 400; seed++)
            {
                File.WriteAllBytes(path, Damage.Apply(original, new Random(seed)));
                var reader = new TensorFlowLiteReader(dequantize: seed % 2 == 0);
                var watch = Stopwatch.StartNew();
                long allocated = GC.GetAllocatedBytesForCurrentThread();
                try
                {
                    if (reader.CanRead(path))
                    {
                        reader.Read(path);
                    }
                }
                catch (ModelFormatException exception)
                {
                    refused++;
                    Assert.DoesNotContain('\n', exception.Message);
                }
                catch (Exception exception)
                {
                    Assert.Fail($"Seed {seed}: {exception}");
                }

                allocated = GC.GetAllocatedBytesForCurrentThread() - allocated;
                Assert.True(watch.Elapsed < TimeSpan.FromSeconds(10), $"Seed {seed} took {watch.Elapsed}.");
                Assert.True(allocated < 1L << 30, $"Seed {seed} took {allocated} bytes.");
            }
        }
        finally
        {
            File.Delete(path);
        }

        Assert.InRange(refused, 50, 400);
    }
}
