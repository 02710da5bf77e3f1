using Whatsit.Inference;

namespace Whatsit.ModelConversion.Graphs;

internal static partial class Operators
{
    /// <summary>Where a picture's element stands: N C H W or N H W C behind one face.</summary>
    private readonly record struct Layout(int Batch, int Channels, int Height, int Width, bool ChannelsLast)
    {
        public int[] Shape => ChannelsLast ? [Batch, Height, Width, Channels] : [Batch, Channels, Height, Width];

        public int ChannelStride => ChannelsLast ? 1 : Height * Width;

        public int RowStride => ChannelsLast ? Width * Channels : Width;

        public int ColumnStride => ChannelsLast ? Channels : 1;

        public int Offset(int image, int channel, int row, int column) =>
            (image * Channels * Height * Width) + (channel * ChannelStride) + (row * RowStride) + (column * ColumnStride);

        public static Layout Of(Operation operation, int[] shape) => shape.Length != 4
            ? throw operation.Refuse($"is supported for pictures (rank 4) only, not for [{string.Join(", ", shape)}]")
            : operation.Node.ChannelsLast ? new Layout(shape[0], shape[3], shape[1], shape[2], true)
                : new Layout(shape[0], shape[1], shape[2], shape[3], false);
    }

    /// <summary>A row of pixels, [N, C, W], is a picture one pixel high.</summary>
    private static Func<Operation, Tensor[]> RowsToo(Func<Operation, Tensor> method) => operation =>
    {
        var node = operation.Node;
        if (node.ChannelsLast || operation[0].Shape.Length != 3)
        {
            return [method(operation)];
        }

        var high = new Node(node.Op, node.Name, node.Inputs, node.Outputs);
        foreach ((var name, var value) in node.Attributes)
        {
            high.Attributes.Add(name, (name, value) switch
            {
                ("pads", long[] { Length: 2 } pads) => new[] { 0, pads[0], 0, pads[1] },
                ("output_padding", long[] { Length: 1 } extra) => new[] { 0, extra[0] },
                ("kernel_shape" or "strides" or "dilations" or "output_shape", long[] { Length: 1 } along) => new[] { 1, along[0] },
                _ => value,
            });
        }

        // The weights are a row, too.
        var inputs = new Tensor?[operation.InputCount];
        for (var input = 0; input < inputs.Length; input++)
        {
            inputs[input] = operation.Optional(input) is { Shape: [var first, var second, var side] } row ? row with { Shape = [first, second, 1, side] }
                : operation.Optional(input);
        }

        var result = method(new Operation(high, inputs, operation.ShapesOnly));
        return [result with { Shape = [result.Shape[0], result.Shape[1], result.Shape[3]] }];
    };

    /// <summary>A kernel sliding along one axis: the sizes of both sides and what lies between them.</summary>
    private readonly record struct Window(int Kernel, int Stride, int Dilation, int Begin, int End, int Input, int Output)
    {
        /// <summary>The input index under kernel element <paramref name="k"/> at <paramref name="output"/>; outside the input it is padding.</summary>
        public int At(int output, int k) => (output * Stride) - Begin + (k * Dilation);

        public bool Inside(int input) => (uint)input < (uint)Input;
    }

    private static (Window Vertical, Window Horizontal) Windows(Operation operation, Layout input, int kernelHeight, int kernelWidth)
    {
        var node = operation.Node;
        var strides = node.Ints("strides") ?? [1, 1];
        var dilations = node.Ints("dilations") ?? [1, 1];
        var pads = node.Ints("pads") ?? [0, 0, 0, 0];
        var autoPad = node.Text("auto_pad", "NOTSET");
        var ceil = node.Int("ceil_mode", 0) == 1;
        if (strides is not [> 0, > 0] || dilations is not [> 0, > 0] || pads is not [>= 0, >= 0, >= 0, >= 0] || kernelHeight <= 0 || kernelWidth <= 0)
        {
            throw operation.Refuse($"has strides [{string.Join(", ", strides)}], dilations [{string.Join(", ", dilations)}], pads [{string.Join(", ", pads)}]");
        }

        return (Along(0, kernelHeight, input.Height), Along(1, kernelWidth, input.Width));

        Window Along(int axis, int kernel, int side)
        {
            var stride = checked((int)strides[axis]);
            var dilation = checked((int)dilations[axis]);
            var reach = checked(((kernel - 1) * dilation) + 1);
            if (autoPad is "SAME_UPPER" or "SAME_LOWER")
            {
                // As many outputs as strides fit, the odd pixel of padding at the end (upper) or at the beginning (lower).
                var same = (side + stride - 1) / stride;
                var total = Math.Max(0, checked(((same - 1) * stride) + reach - side));
                var smaller = total / 2;
                return autoPad == "SAME_UPPER" ? new Window(kernel, stride, dilation, smaller, total - smaller, side, same)
                    : new Window(kernel, stride, dilation, total - smaller, smaller, side, same);
            }

            var begin = autoPad == "VALID" ? 0 : checked((int)pads[axis]);
            var end = autoPad == "VALID" ? 0 : checked((int)pads[axis + 2]);
            var room = checked(side + begin + end - reach);
            var output = room < 0 ? throw operation.Refuse($"has a kernel of {reach} on a side of {side + begin + end}") : (room / stride) + 1;
            if (ceil && room % stride != 0 && output * stride < side + begin)
            {
                output++; // the last window may hang over the end, but must begin on the picture
            }

            return new Window(kernel, stride, dilation, begin, end, side, output);
        }
    }

    private static Tensor Conv(Operation operation)
    {
        var input = operation.Floats(0);
        var kernel = operation.Floats(1);
        var source = Layout.Of(operation, input.Shape);
        var groups = checked((int)operation.Node.Int("group", 1));
        if (kernel.Shape is not [int filters, int groupChannels, int kernelHeight, int kernelWidth] || groups <= 0 || groupChannels * groups != source.Channels
            || filters % groups != 0)
        {
            throw operation.Refuse(
                $"with weights [{string.Join(", ", kernel.Shape)}] and {Counted.Of(groups, "group")} does not fit {Counted.Of(source.Channels, "channel")}");
        }

        (var vertical, var horizontal) = Windows(operation, source, kernelHeight, kernelWidth);
        var target = source with { Channels = filters, Height = vertical.Output, Width = horizontal.Output };
        if (operation.Skips(target.Shape, out var zeros))
        {
            return zeros;
        }

        var result = NewFloats(target.Shape, out var y);

        if (groupChannels == 1)
        {
            Depthwise(input, kernel, result, source, target, vertical, horizontal, filters / groups);
        }
        else
        {
            for (var group = 0; group < groups; group++)
            {
                ConvolveGroup(input, kernel, result, source, target, vertical, horizontal, groupChannels, filters / groups, group);
            }
        }

        AddBias(operation, operation.Optional(2), y, target);
        return result;
    }

    /// <summary>One channel in, a few out: too narrow for a matrix product.</summary>
    private static void Depthwise(Tensor input, Tensor kernel, Tensor result, Layout source, Layout target, Window vertical,
        Window horizontal, int multiplier) =>
        Parallel.For(0, target.Batch * target.Height, line =>
        {
            (var image, var row) = (line / target.Height, line % target.Height);
            var x = input.As<float>();
            var w = kernel.As<float>();
            var y = Writable(result);
            var area = vertical.Kernel * horizontal.Kernel;
            for (var column = 0; column < target.Width; column++)
            {
                for (var filter = 0; filter < target.Channels; filter++)
                {
                    var channel = source.Offset(image, filter / multiplier, 0, 0);
                    float sum = 0;
                    for (var ky = 0; ky < vertical.Kernel; ky++)
                    {
                        var inputRow = vertical.At(row, ky);
                        for (var kx = 0; vertical.Inside(inputRow) && kx < horizontal.Kernel; kx++)
                        {
                            var inputColumn = horizontal.At(column, kx);
                            if (horizontal.Inside(inputColumn))
                            {
                                sum += x[channel + (inputRow * source.RowStride) + (inputColumn * source.ColumnStride)]
                                    * w[(filter * area) + (ky * horizontal.Kernel) + kx];
                            }
                        }
                    }

                    y[target.Offset(image, filter, row, column)] = sum;
                }
            }
        });

    /// <summary>One group as a matrix product: every row holds the pixels under the kernel for one output pixel ("im2col"), a few rows at a time.</summary>
    private static void ConvolveGroup(Tensor input, Tensor kernel, Tensor result, Layout source, Layout target, Window vertical, Window horizontal,
        int channels, int filters, int group)
    {
        const int RowsAtOnce = 32;
        var area = vertical.Kernel * horizontal.Kernel;
        var depth = area * channels;
        var depthOffsets = new int[depth];
        for (var k = 0; k < depth; k++)
        {
            depthOffsets[k] = (k % channels * area) + (k / channels); // ours: kernel row, kernel column, channel; the weights': channel, row, column
        }

        var matrix = new MatrixProduct(kernel.As<float>().Slice(group * filters * depth, filters * depth), depthOffsets, columnStride: depth, filters);
        var pixels = target.Height * target.Width;
        Parallel.For(
            0,
            (target.Batch * pixels + RowsAtOnce - 1) / RowsAtOnce,
            () => new float[RowsAtOnce * depth],
            (chunk, _, patches) =>
            {
                var x = input.As<float>();
                Span<int> rowOffsets = stackalloc int[Math.Min(RowsAtOnce, (target.Batch * pixels) - (chunk * RowsAtOnce))];
                for (var patch = 0; patch < rowOffsets.Length; patch++)
                {
                    (var image, var pixel) = Math.DivRem((chunk * RowsAtOnce) + patch, pixels);
                    (var row, var column) = Math.DivRem(pixel, target.Width);
                    rowOffsets[patch] = target.Offset(image, group * filters, row, column);
                    var values = patches.AsSpan(patch * depth, depth);
                    for (var k = 0; k < area; k++)
                    {
                        var inputRow = vertical.At(row, k / horizontal.Kernel);
                        var inputColumn = horizontal.At(column, k % horizontal.Kernel);
                        var run = values.Slice(k * channels, channels);
                        if (!vertical.Inside(inputRow) || !horizontal.Inside(inputColumn))
                        {
                            run.Clear();
                            continue;
                        }

                        var at = source.Offset(image, group * channels, inputRow, inputColumn);
                        if (source.ChannelsLast)
                        {
                            x.Slice(at, channels).CopyTo(run);
                            continue;
                        }

                        for (var channel = 0; channel < run.Length; channel++, at += source.ChannelStride)
                        {
                            run[channel] = x[at];
                        }
                    }
                }

                matrix.Multiply(patches, rowOffsets, Writable(result), target.ChannelStride);
                return patches;
            },
            _ => { });
    }

    private static void AddBias(Operation operation, Tensor? bias, Span<float> y, Layout layout)
    {
        if (bias is null)
        {
            return;
        }

        var b = bias.ToFloats();
        if (b.Length != layout.Channels)
        {
            throw operation.Refuse($"has {Counted.Of(b.Length, "bias", "biases")} for {Counted.Of(layout.Channels, "channel")}");
        }

        var run = layout.ChannelStride;
        for (int start = 0, channel = 0; start < y.Length; start += run, channel = (channel + 1) % b.Length)
        {
            foreach (ref var element in y.Slice(start, run))
            {
                element += b[channel];
            }
        }
    }

    private static Tensor ConvTranspose(Operation operation)
    {
        var input = operation.Floats(0);
        var kernel = operation.Floats(1);
        var source = Layout.Of(operation, input.Shape);
        var node = operation.Node;
        var groups = checked((int)node.Int("group", 1));
        if (kernel.Shape is not [int channels, int groupFilters, int kernelHeight, int kernelWidth] || groups <= 0 || channels != source.Channels
            || channels % groups != 0)
        {
            throw operation.Refuse(
                $"with weights [{string.Join(", ", kernel.Shape)}] and {Counted.Of(groups, "group")} does not fit {Counted.Of(source.Channels, "channel")}");
        }

        var strides = node.Ints("strides") ?? [1, 1];
        var dilations = node.Ints("dilations") ?? [1, 1];
        var pads = node.Ints("pads") ?? [0, 0, 0, 0];
        var extra = node.Ints("output_padding") ?? [0, 0];
        var wanted = node.Ints("output_shape");
        var autoPad = node.Text("auto_pad", "NOTSET");
        var vertical = Along(0, kernelHeight, source.Height);
        var horizontal = Along(1, kernelWidth, source.Width);
        var target = source with { Channels = groupFilters * groups, Height = vertical.Output, Width = horizontal.Output };
        if (operation.Skips(target.Shape, out var zeros))
        {
            return zeros;
        }

        var result = NewFloats(target.Shape, out var y);

        // Every input pixel paints the kernel, scaled, onto the output.
        var x = input.As<float>();
        var w = kernel.As<float>();
        var area = kernelHeight * kernelWidth;
        for (var pixel = 0; pixel < source.Batch * source.Height * source.Width; pixel++)
        {
            (var image, var row, var column) = (pixel / (source.Height * source.Width), pixel / source.Width % source.Height, pixel % source.Width);
            for (var k = 0; k < area; k++)
            {
                var outputRow = (row * vertical.Stride) - vertical.Begin + (k / kernelWidth * vertical.Dilation);
                var outputColumn = (column * horizontal.Stride) - horizontal.Begin + (k % kernelWidth * horizontal.Dilation);
                if ((uint)outputRow >= (uint)target.Height || (uint)outputColumn >= (uint)target.Width)
                {
                    continue;
                }

                for (var channel = 0; channel < channels; channel++)
                {
                    var value = x[source.Offset(image, channel, row, column)];
                    var firstFilter = channel / (channels / groups) * groupFilters;
                    for (var filter = 0; filter < groupFilters; filter++)
                    {
                        y[target.Offset(image, firstFilter + filter, outputRow, outputColumn)] += value * w[(((channel * groupFilters) + filter) * area) + k];
                    }
                }
            }
        }

        AddBias(operation, operation.Optional(2), y, target);
        return result;

        // https://onnx.ai/onnx/operators/onnx__ConvTranspose.html; Begin is what is cut off the output's beginning.
        Window Along(int axis, int size, int side)
        {
            var stride = checked((int)strides[axis]);
            var dilation = checked((int)dilations[axis]);
            var full = checked((stride * (side - 1)) + (int)extra[axis] + ((size - 1) * dilation) + 1);
            var output = wanted is not null ? checked((int)wanted[axis]) : autoPad.StartsWith("SAME", StringComparison.Ordinal) ? side * stride
                : autoPad == "VALID" ? full : checked(full - (int)pads[axis] - (int)pads[axis + 2]);
            var total = Math.Max(0, full - output);
            var begin = wanted is null && !autoPad.StartsWith("SAME", StringComparison.Ordinal) ? (autoPad == "VALID" ? 0 : checked((int)pads[axis]))
                : autoPad == "SAME_UPPER" ? total / 2 : total - (total / 2);
            return new Window(size, stride, dilation, begin, 0, side, output);
        }
    }

    private static Tensor MaxPool(Operation operation) => operation.Node.Outputs.Count > 1
        ? throw operation.Refuse("with indices is not supported")
        : Pool(operation, float.NegativeInfinity, (best, x) => x > best || float.IsNaN(x) ? x : best, (best, _) => best);

    private static Tensor AveragePool(Operation operation) => Pool(operation, 0, (sum, x) => sum + x, (sum, count) => sum / count);

    private static Tensor Pool(Operation operation, double start, Func<double, float, double> combine, Func<double, int, double> finish)
    {
        var input = operation.Floats(0);
        var source = Layout.Of(operation, input.Shape);
        var kernel = operation.Node.Ints("kernel_shape") is [_, _] given ? given : throw operation.Refuse("has no kernel_shape of two sides");
        (var vertical, var horizontal) = Windows(operation, source, checked((int)kernel[0]), checked((int)kernel[1]));
        var countPadding = operation.Node.Int("count_include_pad", 0) == 1;
        var target = source with { Height = vertical.Output, Width = horizontal.Output };
        if (operation.Skips(target.Shape, out var zeros))
        {
            return zeros;
        }

        var result = NewFloats(target.Shape, out var y);
        var x = input.As<float>();
        for (var place = 0; place < target.Batch * target.Height * target.Width; place++)
        {
            (var image, var row, var column) = (place / (target.Height * target.Width), place / target.Width % target.Height, place % target.Width);
            for (var channel = 0; channel < target.Channels; channel++)
            {
                var value = start;
                var count = 0;
                var at = source.Offset(image, channel, 0, 0);
                for (var ky = 0; ky < vertical.Kernel; ky++)
                {
                    var inputRow = vertical.At(row, ky);
                    for (var kx = 0; kx < horizontal.Kernel; kx++)
                    {
                        var inputColumn = horizontal.At(column, kx);
                        if (vertical.Inside(inputRow) && horizontal.Inside(inputColumn))
                        {
                            value = combine(value, x[at + (inputRow * source.RowStride) + (inputColumn * source.ColumnStride)]);
                            count++;
                        }
                        else if (countPadding && inputRow < vertical.Input + vertical.End && inputColumn < horizontal.Input + horizontal.End)
                        {
                            count++; // padding counts; what ceil_mode hangs over beyond it does not
                        }
                    }
                }

                y[target.Offset(image, channel, row, column)] = (float)finish(value, count);
            }
        }

        return result;
    }

    private static Tensor GlobalAveragePool(Operation operation) => GlobalPool(operation, 0, (sum, x) => sum + x, (sum, count) => sum / count);

    private static Tensor GlobalMaxPool(Operation operation) =>
        GlobalPool(operation, double.NegativeInfinity, (best, x) => Math.Max(best, x), (best, _) => best);

    private static Tensor GlobalPool(Operation operation, double start, Func<double, float, double> combine, Func<double, int, double> finish)
    {
        var input = operation.Floats(0);
        var source = Layout.Of(operation, input.Shape);
        var target = source with { Height = 1, Width = 1 };
        if (operation.Skips(source.Shape, out _))
        {
            return Zeros(ElementType.Float32, target.Shape);
        }

        var result = NewFloats(target.Shape, out var y);
        var x = input.As<float>();
        for (var i = 0; i < y.Length; i++)
        {
            var at = source.Offset(i / source.Channels, i % source.Channels, 0, 0);
            var value = start;
            for (var pixel = 0; pixel < source.Height * source.Width; pixel++)
            {
                value = combine(value, x[at + (pixel * source.ColumnStride)]);
            }

            y[i] = (float)finish(value, source.Height * source.Width);
        }

        return result;
    }

    private static Tensor LocalResponseNormalization(Operation operation)
    {
        var input = operation.Floats(0);
        var layout = Layout.Of(operation, input.Shape);
        var size = checked((int)operation.Node.Int("size", 0));
        double alpha = operation.Node.Float("alpha", 0.0001f);
        double beta = operation.Node.Float("beta", 0.75f);
        double bias = operation.Node.Float("bias", 1);
        var x = input.As<float>();
        var result = NewFloats(input.Shape, out var y);
        for (var pixel = 0; pixel < layout.Batch * layout.Height * layout.Width; pixel++)
        {
            (var image, var row, var column) = (pixel / (layout.Height * layout.Width), pixel / layout.Width % layout.Height, pixel % layout.Width);
            for (var channel = 0; channel < layout.Channels; channel++)
            {
                double sum = 0;
                for (var near = Math.Max(0, channel - ((size - 1) / 2)); near <= Math.Min(layout.Channels - 1, channel + (size / 2)); near++)
                {
                    double value = x[layout.Offset(image, near, row, column)];
                    sum += value * value;
                }

                var at = layout.Offset(image, channel, row, column);
                y[at] = (float)(x[at] / Math.Pow(bias + (alpha / size * sum), beta));
            }
        }

        return result;
    }

    private static Tensor DepthToSpace(Operation operation)
    {
        var input = operation[0];
        var source = Layout.Of(operation, input.Shape);
        var block = checked((int)operation.Node.Int("blocksize", 0));
        var columnsFirst = operation.Node.Text("mode", "DCR") == "CRD";
        if (block <= 0 || source.Channels % (block * block) != 0)
        {
            throw operation.Refuse($"with blocks of {block} does not fit {Counted.Of(source.Channels, "channel")}");
        }

        var target = source with { Channels = source.Channels / (block * block), Height = source.Height * block, Width = source.Width * block };
        return Rearrange(input, source, target, (channel, row, column) =>
        {
            var within = (row % block * block) + (column % block);
            return (columnsFirst ? (channel * block * block) + within : (within * target.Channels) + channel, row / block, column / block);
        });
    }

    private static Tensor SpaceToDepth(Operation operation)
    {
        var input = operation[0];
        var source = Layout.Of(operation, input.Shape);
        var block = checked((int)operation.Node.Int("blocksize", 0));
        if (block <= 0 || source.Height % block != 0 || source.Width % block != 0)
        {
            throw operation.Refuse($"with blocks of {block} does not fit {source.Height} × {source.Width}");
        }

        var target = source with { Channels = source.Channels * block * block, Height = source.Height / block, Width = source.Width / block };
        return Rearrange(input, source, target, (channel, row, column) =>
        {
            var within = channel / source.Channels;
            return (channel % source.Channels, (row * block) + (within / block), (column * block) + (within % block));
        });
    }

    private static Tensor Rearrange(Tensor input, Layout source, Layout target, Func<int, int, int, (int Channel, int Row, int Column)> origin)
    {
        var size = Tensor.SizeOf(input.Type);
        var x = input.Data.Span;
        var result = Tensor.Allocate(input.Type, target.Shape, out Span<byte> y);
        for (var image = 0; image < target.Batch; image++)
        {
            for (var place = 0; place < target.Channels * target.Height * target.Width; place++)
            {
                (var channel, var row, var column) = (place / (target.Height * target.Width), place / target.Width % target.Height, place % target.Width);
                (var sourceChannel, var sourceRow, var sourceColumn) = origin(channel, row, column);
                x.Slice(source.Offset(image, sourceChannel, sourceRow, sourceColumn) * size, size)
                    .CopyTo(y[(target.Offset(image, channel, row, column) * size)..]);
            }
        }

        return result;
    }

    /// <summary>Axis after axis; https://onnx.ai/onnx/operators/onnx__Resize.html</summary>
    private static Tensor Resize(Operation operation)
    {
        var node = operation.Node;
        var result = operation.Floats(0);
        var rank = result.Shape.Length;
        var axes = node.Ints("axes")?.Select(axis => operation.Axis(axis, rank)).ToArray() ?? [.. Enumerable.Range(0, rank)];
        var scales = operation.Optional(2)?.ToDoubles() is { Length: > 0 } given ? given : null;
        var sizes = operation.Optional(3)?.ToInts() is { Length: > 0 } wanted ? Array.ConvertAll(wanted, side => checked((int)side)) : null;
        var mode = node.Text("mode", "nearest");
        var coordinates = node.Text("coordinate_transformation_mode", "half_pixel");
        var rounding = node.Text("nearest_mode", "round_prefer_floor");
        var antialias = node.Int("antialias", 0) == 1;
        if ((scales?.Length ?? sizes?.Length) != axes.Length || mode is not ("nearest" or "linear" or "cubic")
            || node.Text("keep_aspect_ratio_policy", "stretch") != "stretch")
        {
            throw operation.Refuse($"is supported with a scale or a size per axis, nearest, linear or cubic; this is {mode}");
        }

        for (var i = 0; i < axes.Length; i++)
        {
            var axis = axes[i];
            var side = result.Shape[axis];
            var output = sizes?[i] ?? checked((int)Math.Floor(side * scales![i]));
            var scale = scales?[i] ?? output / (double)side;
            if (output <= 0)
            {
                throw operation.Refuse($"shrinks axis {axis} to {output}");
            }

            if (output == side && scale == 1)
            {
                continue;
            }

            double At(int index) => coordinates switch
            {
                "half_pixel" => ((index + 0.5) / scale) - 0.5,
                "pytorch_half_pixel" => output > 1 ? ((index + 0.5) / scale) - 0.5 : 0,
                "align_corners" => output > 1 ? index * (side - 1d) / (output - 1) : 0,
                "asymmetric" => index / scale,
                "tf_half_pixel_for_nn" => (index + 0.5) / scale,
                "half_pixel_symmetric" => (side / 2d * (1 - (output / (side * scale)))) + ((index + 0.5) / scale) - 0.5,
                _ => throw operation.Refuse($"with coordinates '{coordinates}' is not supported"),
            };

            if (mode == "nearest")
            {
                result = Take(result, axis, side, output, index => Math.Clamp(Nearest(At(index)), 0, side - 1));
                continue;
            }

            if (mode == "cubic" || antialias || node.Int("exclude_outside", 0) == 1)
            {
                result = Filter(operation, result, axis, output, At, antialias ? Math.Max(1, 1 / scale) : 1);
                continue;
            }

            var low = Take(result, axis, side, output, index => Math.Clamp((int)Math.Floor(At(index)), 0, side - 1));
            var high = Take(result, axis, side, output, index => Math.Clamp((int)Math.Floor(At(index)) + 1, 0, side - 1));
            int[] weightShape = [output, .. Enumerable.Repeat(1, rank - axis - 1)];
            var weight =
                Tensor.Float32(weightShape, Array.ConvertAll(Enumerable.Range(0, output).ToArray(), index => (float)(At(index) - Math.Floor(At(index)))));
            var step = Combine(operation, Combine(operation, high, low, (a, b) => a - b, (a, b) => a - b), weight, (a, b) => a * b, (a, b) => a * b);
            result = Combine(operation, low, step, (a, b) => a + b, (a, b) => a + b);
        }

        return result;

        int Nearest(double at) => rounding switch
        {
            "round_prefer_floor" => (int)Math.Ceiling(at - 0.5),
            "round_prefer_ceil" => (int)Math.Floor(at + 0.5),
            "floor" => (int)Math.Floor(at),
            "ceil" => (int)Math.Ceiling(at),
            _ => throw operation.Refuse($"with nearest_mode '{rounding}' is not supported"),
        };
    }

    /// <summary>
    /// One axis by weights that sum to one: linear, or cubic with <c>cubic_coeff_a</c>, stretched where pixels are many for each result (antialias). What lies
    /// outside counts as the edge, or not at all.
    /// </summary>
    private static Tensor Filter(Operation operation, Tensor input, int axis, int output, Func<int, double> at, double stretch)
    {
        var cubic = operation.Node.Text("mode", "") == "cubic";
        var inside = operation.Node.Int("exclude_outside", 0) == 1;
        double a = operation.Node.Float("cubic_coeff_a", -0.75f);
        var side = input.Shape[axis];
        var reach = (cubic ? 2 : 1) * stretch;
        int[] shape = [.. input.Shape];
        shape[axis] = output;
        if (operation.Skips(shape, out var zeros))
        {
            return zeros;
        }

        var x = input.As<float>();
        var result = NewFloats(shape, out var y);
        var run = Count(shape.AsSpan(axis + 1));
        var outer = Count(shape.AsSpan(0, axis));
        var sums = new double[run];
        for (var index = 0; index < output; index++)
        {
            var centre = at(index);
            (var first, var last) = ((int)Math.Ceiling(centre - reach), (int)Math.Floor(centre + reach));
            (int Place, double Weight)[] taps = [.. Enumerable.Range(first, last - first + 1).Where(place => !inside || (place >= 0 && place < side))
                .Select(place => (Math.Clamp(place, 0, side - 1), Weight(Math.Abs(place - centre) / stretch)))];
            var total = taps.Sum(tap => tap.Weight);
            for (var row = 0; row < outer; row++)
            {
                Array.Clear(sums);
                foreach ((var place, var weight) in taps)
                {
                    var from = x.Slice(((row * side) + place) * run, run);
                    for (var i = 0; i < run; i++)
                    {
                        sums[i] += from[i] * weight;
                    }
                }

                var to = y.Slice(((row * output) + index) * run, run);
                for (var i = 0; i < run; i++)
                {
                    to[i] = (float)(sums[i] / total);
                }
            }
        }

        return result;

        // R. Keys, Cubic convolution interpolation for digital image processing (1981)
        double Weight(double apart) => !cubic ? Math.Max(0, 1 - apart)
            : apart < 1 ? ((((a + 2) * apart) - (a + 3)) * apart * apart) + 1
            : apart < 2 ? (((((apart - 5) * apart) + 8) * apart) - 4) * a
            : 0;
    }

    private static Tensor Gemm(Operation operation)
    {
        var a = operation.Floats(0);
        var b = operation.Floats(1);
        if (a.Shape.Length != 2 || b.Shape.Length != 2)
        {
            throw operation.Refuse($"multiplies [{string.Join(", ", a.Shape)}] with [{string.Join(", ", b.Shape)}]");
        }

        a = operation.Node.Int("transA", 0) == 1 ? Permute(a, [1, 0]) : a;
        var transposed = operation.Node.Int("transB", 0) == 1;
        var alpha = operation.Node.Float("alpha", 1);
        var beta = operation.Node.Float("beta", 1);
        var result = Product(operation, a, b, b.Shape[transposed ? 1 : 0], b.Shape[transposed ? 0 : 1], transposed);
        result = alpha == 1 ? result : Map(operation, result, x => x * alpha);
        return operation.Optional(2) is { } c
            ? Combine(operation, result, beta == 1 ? c : Map(operation, c, x => x * beta), (x, y) => x + y, (x, y) => x + y) : result;
    }

    /// <summary>As <c>numpy.matmul</c>: the last two axes multiply, those before broadcast.</summary>
    private static Tensor MatMul(Operation operation)
    {
        var a = operation.Floats(0);
        var b = operation.Floats(1);
        var aShape = a.Shape.Length == 1 ? [1, a.Shape[0]] : a.Shape;
        var bShape = b.Shape.Length == 1 ? [b.Shape[0], 1] : b.Shape;
        if (aShape.Length == 0 || bShape.Length == 0)
        {
            throw operation.Refuse("multiplies a scalar");
        }

        var outer = Broadcast(aShape[..^2], bShape[..^2]);
        (var rows, var depth, var columns) = (aShape[^2], bShape[^2], bShape[^1]);
        var left = ExpandTo(a with { Shape = aShape }, [.. outer, rows, aShape[^1]]);
        var right = ExpandTo(b with { Shape = bShape }, bShape.Length == 2 ? bShape : [.. outer, depth, columns]);
        Tensor result;
        if (right.Shape.Length == 2)
        {
            // One matrix for all rows: the common case, a dense layer.
            result = Product(operation, left with { Shape = [Count(outer) * rows, aShape[^1]] }, right, depth, columns, transposed: false);
        }
        else
        {
            result = NewFloats([.. outer, rows, columns], out var y);
            var aSize = rows * aShape[^1] * sizeof(float);
            var bSize = depth * columns * sizeof(float);
            for (var i = 0; i < Count(outer); i++)
            {
                var part = new Tensor(ElementType.Float32, [rows, aShape[^1]], left.Data.Slice(i * aSize, aSize));
                var matrix = new Tensor(ElementType.Float32, [depth, columns], right.Data.Slice(i * bSize, bSize));
                Product(operation, part, matrix, depth, columns, transposed: false).As<float>().CopyTo(y[(i * rows * columns)..]);
            }
        }

        int[] shape = [.. outer, .. a.Shape.Length == 1 ? Array.Empty<int>() : [rows], .. b.Shape.Length == 1 ? Array.Empty<int>() : [columns]];
        return result with { Shape = shape };
    }

    private static Tensor Product(Operation operation, Tensor a, Tensor b, int depth, int columns, bool transposed)
    {
        const int RowsAtOnce = 32;
        if (a.Shape[1] != depth)
        {
            throw operation.Refuse($"multiplies [{string.Join(", ", a.Shape)}] with [{depth}, {columns}]");
        }

        var rows = a.Shape[0];
        if (operation.ShapesOnly)
        {
            return Zeros(ElementType.Float32, [rows, columns]);
        }

        var result = NewFloats([rows, columns], out _);

        var depthOffsets = new int[depth];
        for (var k = 0; k < depth; k++)
        {
            depthOffsets[k] = transposed ? k : k * columns;
        }

        var matrix = new MatrixProduct(b.As<float>(), depthOffsets, transposed ? depth : 1, columns);
        Parallel.For(0, (rows + RowsAtOnce - 1) / RowsAtOnce, chunk =>
        {
            var first = chunk * RowsAtOnce;
            Span<int> rowOffsets = stackalloc int[Math.Min(RowsAtOnce, rows - first)];
            for (var row = 0; row < rowOffsets.Length; row++)
            {
                rowOffsets[row] = (first + row) * columns;
            }

            matrix.Multiply(a.As<float>()[(first * depth)..], rowOffsets, Writable(result), 1);
        });
        return result;
    }
}
