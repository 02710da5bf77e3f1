using System.Runtime.InteropServices;
using Google.Protobuf;
using Google.Protobuf.Collections;
using Whatsit.Inference;
using Whatsit.Inference.Backends;
using Whatsit.Inference.Backends.Wire;
using Whatsit.Inference.Catalog;

namespace Whatsit.Server.Compatibility.OpenInference.Rpc;

/// <summary>Messages of <c>ModelInfer</c>, and what they mean.</summary>
internal static class InferMessages
{
    /// <summary>Reads a request.</summary>
    /// <param name="request">The message.</param>
    /// <param name="raw">Its <c>raw_input_contents</c>, which stay where they were received.</param>
    /// <param name="model">The model that is asked.</param>
    /// <param name="maxBatchSize">How many pictures or tensors there may be.</param>
    /// <exception cref="InferenceException"><see cref="InferenceError.InvalidRequest"/>.</exception>
    public static InferRequest Read(ModelInferRequest request, RawContents? raw, Model model, int maxBatchSize)
    {
        var name = model.Manifest.Name;
        if (request.Inputs is not [var input])
        {
            throw DeclaredInput.Invalid($"expected 1 inputs but got {request.Inputs.Count} inputs for model '{name}'");
        }

        RequestedOutput.CheckCount(model, request.Outputs.Count);
        var declared = new DeclaredInput(input.Name, input.Datatype, input.Shape).CheckedFor(model, maxBatchSize);
        var isRaw = raw?.Count > 0;
        if (raw?.Count > 1)
        {
            throw DeclaredInput.Invalid($"expected 1 raw_input_contents but got {raw.Count} for model '{name}'");
        }

        if (isRaw && input.Contents is not null)
        {
            throw DeclaredInput.Invalid($"contents field must not be specified when using raw_input_contents for '{input.Name}' for model '{name}'");
        }

        var batch = isRaw ? declared.Split(model, raw!.Contents[0])
            : declared.IsPictures ? declared.Pictures([.. (input.Contents?.BytesContents ?? []).Select(file => file.Memory)])
            : declared.Split(model, TensorOf(input, model, declared.Count));
        return new(
            request.Id.Length == 0 ? null : request.Id,
            batch,
            request.Outputs.Count == 0 ? [.. model.Backend.Outputs.Select(output => new RequestedOutput(output.Name, 0, isRaw))]
                : [.. request.Outputs.Select(output => new RequestedOutput(output.Name, ClassesOf(output.Parameters), isRaw))],
            InferRequest.WithinOf(NumberOf(request.Parameters, "timeout")));
    }

    /// <summary>Puts an answer together: raw where the request was, or where an element has no other form.</summary>
    public static ModelInferResponse Write(InferRequest request, TensorAnswer[] answers, Model model)
    {
        var outputs = InferResponse.Join(request, answers, model);
        var isRaw = outputs.Any(output => output.Binary || output.Type == TensorType.Float16);
        var response = new ModelInferResponse { ModelName = model.Manifest.Name, ModelVersion = model.Manifest.Version, Id = request.Id ?? "" };
        foreach (var output in outputs)
        {
            response.Outputs.Add(new ModelInferResponse.Types.InferOutputTensor
            {
                Name = output.Name,
                Datatype = output.Datatype,
                Shape = { output.Shape },
                Contents = isRaw ? null : ContentsOf(output),
            });
            if (isRaw)
            {
                // Nobody changes it any more.
                response.RawOutputContents.Add(UnsafeByteOperations.UnsafeWrap(output.Data));
            }
        }

        return response;
    }

    private static byte[] TensorOf(ModelInferRequest.Types.InferInputTensor input, Model model, int count)
    {
        var tensor = new byte[model.Manifest.Input.ByteLength * count];
        if (TensorTypes.Of(model.Manifest.Input) == TensorType.Float32)
        {
            var numbers = input.Contents?.Fp32Contents;
            Check(numbers?.Count ?? 0, tensor.Length / sizeof(float), "fp32_contents");
            for (var index = 0; index < numbers!.Count; index++)
            {
                MemoryMarshal.Write(tensor.AsSpan(index * sizeof(float)), numbers[index]);
            }

            return tensor;
        }

        var bytes = input.Contents?.UintContents;
        Check(bytes?.Count ?? 0, tensor.Length, "uint_contents");
        for (var index = 0; index < tensor.Length; index++)
        {
            tensor[index] = bytes![index] <= byte.MaxValue ? (byte)bytes[index]
                : throw DeclaredInput.Invalid($"The tensor has the element '{bytes[index]}', which is no {input.Datatype}.");
        }

        return tensor;

        void Check(int given, int expected, string list)
        {
            if (given != expected)
            {
                throw DeclaredInput.Invalid(
                    $"input '{input.Name}' has {Counted.Of(given, "element")} in {list}, where those of {input.Datatype} are; its shape has {expected:N0}");
            }
        }
    }

    private static InferTensorContents ContentsOf(SentOutput output)
    {
        var contents = new InferTensorContents();
        var data = output.Data.AsSpan();
        switch (output.Type)
        {
            case null:
                contents.BytesContents.AddRange(output.Texts.Select(ByteString.CopyFromUtf8));
                break;
            case TensorType.Bool:
                contents.BoolContents.AddRange(output.Data.Select(element => element != 0));
                break;
            case TensorType.UInt8:
                contents.UintContents.AddRange(output.Data.Select(element => (uint)element));
                break;
            case TensorType.UInt16:
                Add<ushort, uint>(data, contents.UintContents, element => element);
                break;
            case TensorType.UInt32:
                Add<uint, uint>(data, contents.UintContents, element => element);
                break;
            case TensorType.UInt64:
                Add<ulong, ulong>(data, contents.Uint64Contents, element => element);
                break;
            case TensorType.Int8:
                Add<sbyte, int>(data, contents.IntContents, element => element);
                break;
            case TensorType.Int16:
                Add<short, int>(data, contents.IntContents, element => element);
                break;
            case TensorType.Int32:
                Add<int, int>(data, contents.IntContents, element => element);
                break;
            case TensorType.Int64:
                Add<long, long>(data, contents.Int64Contents, element => element);
                break;
            case TensorType.Float64:
                Add<double, double>(data, contents.Fp64Contents, element => element);
                break;
            default:
                Add<float, float>(data, contents.Fp32Contents, element => element);
                break;
        }

        return contents;

        static void Add<TElement, TSent>(ReadOnlySpan<byte> data, RepeatedField<TSent> list, Func<TElement, TSent> convert)
            where TElement : struct
        {
            var elements = MemoryMarshal.Cast<byte, TElement>(data);
            list.Capacity = elements.Length;
            foreach (var element in elements)
            {
                list.Add(convert(element));
            }
        }
    }

    private static int ClassesOf(MapField<string, InferParameter> parameters) =>
        NumberOf(parameters, "classification") is > 0 and <= int.MaxValue and var classes ? (int)classes : 0;

    private static long NumberOf(MapField<string, InferParameter> parameters, string name) => !parameters.TryGetValue(name, out var parameter) ? 0
        : parameter.ParameterChoiceCase switch
        {
            InferParameter.ParameterChoiceOneofCase.Int64Param => parameter.Int64Param,
            InferParameter.ParameterChoiceOneofCase.Uint64Param => (long)Math.Min(parameter.Uint64Param, long.MaxValue),
            _ => 0,
        };
}
