using System.Runtime.InteropServices;
using Whatsit.Inference.Imaging;
using Whatsit.Inference.Preprocessing;

namespace Whatsit.Inference.Tests.Preprocessing;

public sealed class PreprocessorTests
{
    public static TheoryData<string, InputElementType, TensorLayout, ChannelOrder> Forms
    {
        get
        {
            var forms = new TheoryData<string, InputElementType, TensorLayout, ChannelOrder>();
            foreach (var resizer in Resizers.Names)
            {
                foreach (var type in Enum.GetValues<InputElementType>())
                {
                    foreach (var layout in Enum.GetValues<TensorLayout>())
                    {
                        forms.Add(resizer, type, layout, ChannelOrder.Rgb);
                        forms.Add(resizer, type, layout, ChannelOrder.Bgr);
                    }
                }
            }

            return forms;
        }
    }

    [Theory]
    [MemberData(nameof(Forms))]
    public void Every_width_of_vector_gives_the_same_bits(string resizer, InputElementType type, TensorLayout layout, ChannelOrder order)
    {
        var spec = new PreprocessingSpec
        {
            Resample = resizer,
            ChannelOrder = order,
            RescaleFactor = 1 / 255.0,
            ImageMean = [0.485, 0.456, 0.406],
            ImageStd = [0.229, 0.224, 0.225],
        };
        // Wider and narrower than any vector, with and without a remainder, enlarged and reduced
        (int Width, int Height)[] sizes = [(1, 1), (2, 9), (5, 4), (16, 16), (17, 3), (40, 31), (224, 33)];
        foreach ((var width, var height) in (ReadOnlySpan<(int, int)>)[(1, 1), (3, 200), (61, 47), (333, 21)])
        {
            using var image = Noise(width, height);
            foreach ((var inputWidth, var inputHeight) in sizes)
            {
                var input = new InputSpec("pixels", type, layout, inputWidth, inputHeight);
                var scalar = Process(image, spec, input, vectorBits: 0);
                foreach (var bits in (int[])[128, 256, 512])
                {
                    Assert.True(scalar.AsSpan()
                        .SequenceEqual(Process(image, spec, input, bits)), $"{bits} bits, {width} × {height} to {inputWidth} × {inputHeight}");
                }
            }
        }
    }

    [Theory]
    [InlineData(TensorLayout.Nhwc, ChannelOrder.Rgb)]
    [InlineData(TensorLayout.Nhwc, ChannelOrder.Bgr)]
    [InlineData(TensorLayout.Nchw, ChannelOrder.Rgb)]
    [InlineData(TensorLayout.Nchw, ChannelOrder.Bgr)]
    public void A_float_tensor_holds_normalised_channels_in_the_models_order_and_layout(TensorLayout layout, ChannelOrder order)
    {
        const int Width = 37, Height = 5;
        double[] mean = [0.1, 0.2, 0.3], std = [0.5, 0.6, 0.7];
        var spec = new PreprocessingSpec { ChannelOrder = order, RescaleFactor = 1 / 127.5, ImageMean = mean, ImageStd = std };
        using var image = Noise(Width, Height);

        var tensor = new byte[Width * Height * 3 * 4];
        new Preprocessor(spec, new InputSpec("pixels", InputElementType.Float32, layout, Width, Height)).Process(image, tensor);

        var floats = MemoryMarshal.Cast<byte, float>(tensor);
        for (var y = 0; y < Height; y++)
        {
            for (var x = 0; x < Width; x++)
            {
                for (var c = 0; c < 3; c++)
                {
                    var pixel = image.Pixels[(((y * Width) + x) * 3) + (order == ChannelOrder.Rgb ? c : 2 - c)];
                    var index = layout == TensorLayout.Nhwc ? (((y * Width) + x) * 3) + c : (((c * Height) + y) * Width) + x;
                    Assert.Equal(((pixel / 127.5) - mean[c]) / std[c], floats[index], 1e-5);
                }
            }
        }
    }

    [Fact]
    public void A_uint8_tensor_holds_the_pixels_themselves()
    {
        // The numbers belong to the graph then.
        var spec = new PreprocessingSpec { RescaleFactor = 1 / 255.0, ImageMean = [1, 2, 3], ImageStd = [4, 5, 6], ChannelOrder = ChannelOrder.Bgr };
        using var image = Noise(20, 10);

        var nhwc = Process(image, spec, new InputSpec("pixels", InputElementType.UInt8, TensorLayout.Nhwc, 20, 10), 512);
        var nchw = Process(image, spec, new InputSpec("pixels", InputElementType.UInt8, TensorLayout.Nchw, 20, 10), 512);

        Assert.Equal(image.Pixels.ToArray(), nhwc);
        for (var i = 0; i < 200; i++)
        {
            Assert.Equal([nhwc[i * 3], nhwc[(i * 3) + 1], nhwc[(i * 3) + 2]], [nchw[i], nchw[200 + i], nchw[400 + i]]);
        }
    }

    [Fact]
    public void Bytes_from_a_resizer_that_works_in_floating_point_are_rounded()
    {
        using var image = Noise(30, 30);
        var spec = new PreprocessingSpec { Resample = "tf-bilinear" };

        var bytes = Process(image, spec, new InputSpec("pixels", InputElementType.UInt8, TensorLayout.Nhwc, 13, 13), 512);
        var floats = Process(image, spec, new InputSpec("pixels", InputElementType.Float32, TensorLayout.Nhwc, 13, 13), 512);

        Assert.Equal([.. MemoryMarshal.Cast<byte, float>(floats).ToArray().Select(value => (byte)MathF.Round(value))], bytes);
    }

    [Fact]
    public void Many_pictures_of_many_sizes_at_once_do_not_disturb_each_other()
    {
        // More sizes than tables are kept
        var input = new InputSpec("pixels", InputElementType.UInt8, TensorLayout.Nhwc, 24, 24);
        var shared = new Preprocessor(new PreprocessingSpec(), input);
        Parallel.For(1, 300, new ParallelOptions { MaxDegreeOfParallelism = 8 }, i =>
        {
            using var image = Noise(i, 301 - i);
            var tensor = new byte[input.ByteLength];
            shared.Process(image, tensor);
            Assert.Equal(Process(image, new PreprocessingSpec(), input, 0), tensor);
        });
    }

    [Fact]
    public void Processing_allocates_nothing()
    {
        var preprocessor = new Preprocessor(new PreprocessingSpec(), new InputSpec("pixels", InputElementType.UInt8, TensorLayout.Nhwc, 224, 224));
        using var image = Noise(348, 348);
        var tensor = new byte[224 * 224 * 3];
        preprocessor.Process(image, tensor);

        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 10; i++)
        {
            preprocessor.Process(image, tensor);
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Fact]
    public void The_decoder_may_shrink_to_1_4_times_of_what_an_antialiased_resizer_makes()
    {
        var input = new InputSpec("pixels", InputElementType.UInt8, TensorLayout.Nhwc, 224, 192);

        Assert.Null(new Preprocessor(new PreprocessingSpec { Fidelity = Fidelity.Exact }, input).ShrinkTo);
        Assert.Null(new Preprocessor(new PreprocessingSpec { Resample = "tf-bilinear" }, input).ShrinkTo);
        Assert.Equal((313, 268), new Preprocessor(new PreprocessingSpec { Resample = "tf-bilinear", Fidelity = Fidelity.Fast }, input).ShrinkTo);
        Assert.Equal((313, 268), new Preprocessor(new PreprocessingSpec(), input).ShrinkTo);
        Assert.Equal((313, 313), new Preprocessor(new PreprocessingSpec { Crop = Crop.CenterSquare }, input).ShrinkTo);
        Assert.Equal((358, 358), new Preprocessor(new PreprocessingSpec { Crop = Crop.ResizeThenCenter, ResizeShortest = 256 }, input).ShrinkTo);
    }

    [Fact]
    public void A_specification_that_cannot_be_is_refused_by_the_name_of_the_entry()
    {
        var input = new InputSpec("pixels", InputElementType.UInt8, TensorLayout.Nhwc, 224, 224);

        Assert.Contains("'bilinear'", Refusal(new PreprocessingSpec { Resample = "bilinear" }), StringComparison.Ordinal);
        Assert.Contains("resize_shortest is missing", Refusal(new PreprocessingSpec { Crop = Crop.ResizeThenCenter }), StringComparison.Ordinal);
        Assert.Contains("resize_shortest is 200", Refusal(new PreprocessingSpec { Crop = Crop.ResizeThenCenter, ResizeShortest = 200 }),
            StringComparison.Ordinal);
        Assert.Contains("image_std", Refusal(new PreprocessingSpec { ImageStd = [1, 0, 1] }), StringComparison.Ordinal);
        Assert.Contains("image_mean", Refusal(new PreprocessingSpec { ImageMean = [1] }), StringComparison.Ordinal);

        string Refusal(PreprocessingSpec spec) => Assert.Throws<ArgumentException>(() => new Preprocessor(spec, input)).Message;
    }

    private static byte[] Process(RgbImage image, PreprocessingSpec spec, InputSpec input, int vectorBits)
    {
        var tensor = new byte[input.ByteLength];
        new Preprocessor(spec, input, vectorBits).Process(image, tensor);
        return tensor;
    }

    private static RgbImage Noise(int width, int height)
    {
        var image = new RgbImage(width, height) { OriginalWidth = width, OriginalHeight = height, Format = "png" };
        new Random(width + height).NextBytes(image.Pixels);
        return image;
    }
}
