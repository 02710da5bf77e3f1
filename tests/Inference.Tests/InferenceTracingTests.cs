using System.Diagnostics;

namespace Whatsit.Inference.Tests;

public sealed class InferenceTracingTests
{
    [Fact]
    public void Where_nobody_listens_a_stage_allocates_nothing()
    {
        using var request = new Activity("request").Start();
        Stages();
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var pass = 0; pass < 1000; pass++)
        {
            Stages();
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

        static void Stages()
        {
            using var stage = InferenceTracing.Start("decode");
            Assert.Null(InferenceTracing.Parent);
            stage.Stop();
        }
    }
}
