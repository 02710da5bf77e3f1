using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Serialization;
using Whatsit.Inference.Imaging;
using Whatsit.Inference.Preprocessing;
using Whatsit.Inference.Tests.Imaging;

namespace Whatsit.Inference.Tests.Preprocessing;

/// <summary>Against results of Pillow, of TensorFlow's definition and of TensorFlow.js: tests/data/resize, which the browser's tests read too.</summary>
public sealed class ResizersTests
{
    private static readonly JsonSerializerOptions SnakeCase = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    };

    private static readonly Golden[] All =
        JsonSerializer.Deserialize<Golden[]>(File.ReadAllText(TestData.Path("resize", "golden.json")), SnakeCase)!;

    public static TheoryData<string> Names => [.. All.Select(golden => golden.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void A_resizer_gives_what_its_reference_gives(string name)
    {
        var golden = All.Single(one => one.Name == name);
        var floats = golden.Output.Type == "f32";
        var input = new InputSpec(
            "pixels", floats ? InputElementType.Float32 : InputElementType.UInt8, TensorLayout.Nhwc, golden.Output.Width, golden.Output.Height);
        var preprocessor = new Preprocessor(golden.ToSpec(), input);
        var tensor = new byte[input.ByteLength];

        using var image = golden.Input.Load();
        preprocessor.Process(image, tensor);

        var expected = File.ReadAllBytes(TestData.Path("resize", golden.Output.File));
        if (floats)
        {
            ReadOnlySpan<float> actual = MemoryMarshal.Cast<byte, float>(tensor), wanted = MemoryMarshal.Cast<byte, float>(expected);
            Assert.Equal(wanted.Length, actual.Length);
            for (var i = 0; i < wanted.Length; i++)
            {
                Assert.Equal(wanted[i], actual[i], 1e-3f);
            }
        }
        else
        {
            // Not within 1: the very bytes.
            Assert.Equal(expected, tensor);
        }
    }

    [Fact]
    public void Every_named_resizer_has_references()
    {
        Assert.Equal(Resizers.Names.Order(), All.Select(golden => golden.Resizer).Distinct().Order());
    }

    internal sealed record Golden(string Name, string Resizer, string Crop, int? ResizeShortest, Picture Input, Picture Output)
    {
        public PreprocessingSpec ToSpec() => new()
        {
            Resample = Resizer,
            ResizeShortest = ResizeShortest,
            Crop = Crop switch
            {
                "none" => Inference.Preprocessing.Crop.None,
                "center-square" => Inference.Preprocessing.Crop.CenterSquare,
                "resize-then-center" => Inference.Preprocessing.Crop.ResizeThenCenter,
                _ => throw new InvalidDataException(Crop),
            },
        };
    }

    internal sealed record Picture(string File, int Width, int Height, string Type = "u8")
    {
        public RgbImage Load()
        {
            var image = new RgbImage(Width, Height) { OriginalWidth = Width, OriginalHeight = Height, Format = "png" };
            System.IO.File.ReadAllBytes(TestData.Path("resize", File)).CopyTo(image.Pixels);
            return image;
        }
    }
}
