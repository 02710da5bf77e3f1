using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace Whatsit.Inference.Tests.OnnxRuntime;

public sealed class OrtValueTests
{
    [Fact]
    public void Every_element_type_goes_through_a_model_unchanged()
    {
        using var session = new InferenceSession(Fixtures.Types);
        var inputs = new Dictionary<string, OrtValue>
        {
            ["float"] = Value(1.5f, float.MinValue, float.NaN),
            ["double"] = Value(1.5, double.MaxValue, double.NegativeInfinity),
            ["float16"] = Value((Float16)1.5f, (Float16)65504f, (Float16)(-2f)),
            ["bool"] = Value(true, false, true),
            ["uint8"] = Value<byte>(0, 127, byte.MaxValue),
            ["int8"] = Value<sbyte>(sbyte.MinValue, 0, sbyte.MaxValue),
            ["uint16"] = Value<ushort>(0, 1, ushort.MaxValue),
            ["int16"] = Value<short>(short.MinValue, 0, short.MaxValue),
            ["uint32"] = Value<uint>(0, 1, uint.MaxValue),
            ["int32"] = Value(int.MinValue, 0, int.MaxValue),
            ["uint64"] = Value<ulong>(0, 1, ulong.MaxValue),
            ["int64"] = Value(long.MinValue, 0, long.MaxValue),
        };
        using var options = new RunOptions();

        using IDisposableReadOnlyCollection<OrtValue> copies = session.Run(
            options, inputs.Keys.ToArray(), inputs.Values.ToArray(), inputs.Keys.Select(name => name + " → Kopie").ToArray());

        foreach (((string name, OrtValue input), OrtValue copy) in inputs.Zip(copies))
        {
            TensorElementType type = Enum.Parse<TensorElementType>(name, ignoreCase: true);
            Assert.Equal(type, session.InputMetadata[name].ElementDataType);
            Assert.Equal(type, copy.GetTensorTypeAndShape().ElementDataType);
            Assert.Equal(input.GetTensorMutableRawData(), copy.GetTensorMutableRawData());
            input.Dispose();
        }
    }

    [Fact]
    public void A_value_over_an_array_is_that_array()
    {
        float[] data = [1, 2, 3, 4, 5, 6];
        using OrtValue value = OrtValue.CreateTensorValueFromMemory(data, [2, 3]);

        data[0] = 10;
        value.GetTensorMutableDataAsSpan<float>()[5] = 60;

        Assert.Equal([10, 2, 3, 4, 5, 60], value.GetTensorDataAsSpan<float>());
        Assert.Equal(60, data[5]);
    }

    [Fact]
    public void A_value_may_cover_a_part_of_some_memory()
    {
        byte[] pool = new byte[100];
        using OrtValue value = OrtValue.CreateTensorValueFromMemory(OrtMemoryInfo.DefaultInstance, pool.AsMemory(10, 50), [2, 4]);

        value.GetTensorMutableRawData().Fill(7);

        Assert.Equal(8, value.GetTensorMutableRawData().Length);
        Assert.Equal(8, pool.Count(b => b == 7));
        Assert.Equal(7, pool[10]);
    }

    [Fact]
    public void The_array_of_a_value_does_not_move()
    {
        float[] data = [1, 2, 3];
        using OrtValue value = OrtValue.CreateTensorValueFromMemory(data, [3]);
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);

        data[1] = 20;

        Assert.Equal([1, 20, 3], value.GetTensorDataAsSpan<float>());
    }

    [Fact]
    public void A_value_tells_its_type_and_shape()
    {
        using OrtValue value = OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, TensorElementType.UInt8, [1, 224, 224, 3]);

        Assert.True(value.IsTensor);
        Assert.Equal(OnnxValueType.ONNX_TYPE_TENSOR, value.OnnxType);
        OrtTensorTypeAndShapeInfo tensor = value.GetTensorTypeAndShape();
        Assert.Equal(TensorElementType.UInt8, tensor.ElementDataType);
        Assert.Equal([1, 224, 224, 3], tensor.Shape);
        Assert.Equal(4, tensor.DimensionsCount);
        Assert.Equal(224 * 224 * 3, tensor.ElementCount);
    }

    [Fact]
    public void A_scalar_has_one_element_and_no_dimensions()
    {
        using OrtValue value = OrtValue.CreateTensorValueFromMemory([42L], []);

        Assert.Equal(0, value.GetTensorTypeAndShape().DimensionsCount);
        Assert.Equal([42], value.GetTensorDataAsSpan<long>());
    }

    [Fact]
    public void Elements_are_read_as_what_they_are()
    {
        using OrtValue value = OrtValue.CreateTensorValueFromMemory([1f, 2f], [2]);

        Assert.Throws<OnnxRuntimeException>(() => value.GetTensorDataAsSpan<int>().Length);
        Assert.Throws<OnnxRuntimeException>(() => value.GetTensorDataAsSpan<Guid>().Length);
        Assert.Equal(8, value.GetTensorDataAsSpan<byte>().Length);
    }

    [Fact]
    public void A_shape_must_fit_its_memory()
    {
        Assert.Throws<OnnxRuntimeException>(() => OrtValue.CreateTensorValueFromMemory(new float[5], [2, 3]));
        Assert.ThrowsAny<Exception>(() => OrtValue.CreateTensorValueFromMemory(new float[5], [-1, 3]));
        Assert.ThrowsAny<Exception>(() => OrtValue.CreateTensorValueFromMemory(new Guid[1], [1]));
    }

    [Fact]
    public void Disposing_twice_does_no_harm()
    {
        OrtValue value = OrtValue.CreateTensorValueFromMemory([1f], [1]);

        value.Dispose();
        value.Dispose();
    }

    private static OrtValue Value<T>(params T[] elements)
        where T : unmanaged =>
        OrtValue.CreateTensorValueFromMemory(elements, [elements.Length]);
}
