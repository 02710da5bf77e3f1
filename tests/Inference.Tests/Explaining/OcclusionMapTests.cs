using System.Runtime.InteropServices;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Explaining;
using Whatsit.Inference.Preprocessing;

namespace Whatsit.Inference.Tests.Explaining;

/// <summary>Pictures of zeros with one bright pixel, and a model that looks at nothing else.</summary>
public sealed class OcclusionMapTests
{
    private const int Width = 32, Height = 24, Runs = 49, Cells = 8;

    public static TheoryData<InputElementType, TensorLayout, OutputKind> Inputs => new MatrixTheoryData<InputElementType, TensorLayout, OutputKind>(
        Enum.GetValues<InputElementType>(), Enum.GetValues<TensorLayout>(), Enum.GetValues<OutputKind>());

    [Theory]
    [MemberData(nameof(Inputs))]
    public void The_map_is_highest_where_the_evidence_lies(InputElementType type, TensorLayout layout, OutputKind kind)
    {
        var input = new InputSpec("image", type, layout, Width, Height);
        foreach (var (x, y) in ((int, int)[])[(0, 0), (31, 23), (17, 5), (3, 20)])
        {
            var picture = new byte[input.ByteLength];
            Set(picture, input, x, y, 200);
            var map = MapOf(input, kind, picture, tensor => Sees(tensor, input, x, y) ? 4 : -4);

            Assert.Equal(Cells, map.Length);
            Assert.All(map, row => Assert.Equal(Cells, row.Length));
            Assert.Equal(1, map.SelectMany(row => row).Max());
            Assert.Equal(1, map[y * Cells / Height][x * Cells / Width]);
            Assert.Equal(0, map[(y * Cells / Height + 4) % Cells][(x * Cells / Width + 4) % Cells]);
        }
    }

    [Fact]
    public void An_answer_without_any_doubt_is_explained_too()
    {
        var input = new InputSpec("image", InputElementType.UInt8, TensorLayout.Nhwc, Width, Height);
        var picture = new byte[input.ByteLength];
        Set(picture, input, 9, 9, 200);
        // A softmax in 32 bits gives 1 for both.
        var map = MapOf(input, OutputKind.Logits, picture, tensor => Sees(tensor, input, 9, 9) ? 60 : 30);
        Assert.Equal(1, map[3][2]);
    }

    [Fact]
    public void A_class_for_which_nothing_speaks_has_a_map_of_zeros()
    {
        var input = new InputSpec("image", InputElementType.UInt8, TensorLayout.Nhwc, Width, Height);
        var map = MapOf(input, OutputKind.Logits, new byte[input.ByteLength], _ => 1);
        Assert.All(map.SelectMany(row => row), cell => Assert.Equal(0, cell));
    }

    [Theory]
    [InlineData(49, 224, 49)]
    [InlineData(63, 224, 49)]
    [InlineData(1024, 224, 1024)]
    [InlineData(1024, 8, 49)]
    [InlineData(4, 28, 4)]
    [InlineData(3, 224, 0)]
    [InlineData(0, 224, 0)]
    [InlineData(49, 2, 0)]
    public void No_more_is_run_than_the_budget_allows_and_the_picture_has_parts(int budget, int side, int runs) =>
        Assert.Equal(runs, OcclusionMap.RunsWithin(budget, new InputSpec("image", InputElementType.UInt8, TensorLayout.Nhwc, side, side)));

    /// <summary>The map of the second of three classes, which is as likely as <paramref name="logit"/> says.</summary>
    private static float[][] MapOf(InputSpec input, OutputKind kind, byte[] picture, Func<byte[], double> logit)
    {
        var map = new OcclusionMap(input, kind, Runs, picture, Scores(picture), [1]);
        var tensor = new byte[picture.Length];
        for (var run = 0; run < Runs; run++)
        {
            map.Cover(run, tensor);
            map.Take(run, Scores(tensor));
        }

        return map.Of(0);

        float[] Scores(byte[] seen)
        {
            var odds = Math.Exp(logit(seen));
            return kind switch
            {
                OutputKind.Logits => [0, (float)logit(seen), -20],
                OutputKind.Probabilities => [(float)(1 / (1 + odds)), (float)(odds / (1 + odds)), 0],
                _ => [0.5f, (float)(odds / (1 + odds)), 0.9f],
            };
        }
    }

    private static void Set(byte[] tensor, InputSpec input, int x, int y, byte value)
    {
        if (input.ElementType == InputElementType.UInt8)
        {
            tensor[At(input, x, y)] = value;
        }
        else
        {
            BitConverter.TryWriteBytes(tensor.AsSpan(At(input, x, y) * sizeof(float)), (float)value);
        }
    }

    private static bool Sees(byte[] tensor, InputSpec input, int x, int y) =>
        (input.ElementType == InputElementType.UInt8 ? tensor[At(input, x, y)] : MemoryMarshal.Cast<byte, float>(tensor)[At(input, x, y)]) > 100;

    private static int At(InputSpec input, int x, int y) => input.Layout == TensorLayout.Nhwc ? ((y * Width) + x) * 3 : (y * Width) + x;
}
