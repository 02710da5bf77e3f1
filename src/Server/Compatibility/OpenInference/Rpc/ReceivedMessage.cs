using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipelines;
using Microsoft.AspNetCore.Http.Features;
using Whatsit.Inference;
using Whatsit.Server.Limits;
using Whatsit.Server.Predictions;

namespace Whatsit.Server.Compatibility.OpenInference.Rpc;

/// <summary>The raw inputs of a request, as they were received.</summary>
/// <param name="Contents">The first of them; one is all that a model takes.</param>
/// <param name="Count">How many there are.</param>
internal sealed record RawContents(IReadOnlyList<ReadOnlyMemory<byte>> Contents, int Count);

/// <summary>
/// A message before the framework reads it. The framework would keep it in memory that nobody counts, twice: as it comes, and as what is made of it. Here it
/// goes the way of every body: into a buffer of the budget, within the limits, unpacked as it comes. Raw inputs stay where they are; the framework gets the rest.
/// <code>
///   flag, length │ model_name … inputs │ raw_input_contents          what came
///                          │                     └──────────► RawContents ──► the service
///   0, length │ model_name … inputs ──► the framework ──────────────────────► the service
/// </code>
/// https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, "Length-Prefixed-Message"
/// </summary>
internal static class ReceivedMessage
{
    // Field numbers of inference.proto.
    private const int Inputs = 5, RawInputContents = 7, Contents = 5, BytesContents = 8;
    private const int Prefix = 5;

    // Numbers are kept as wide as their lists are, in lists that double.
    private const int WidthOfNumbers = 8;

    /// <summary>Receives the one message of a call, then has it answered.</summary>
    /// <param name="context">The call.</param>
    /// <param name="requests">Where bodies are read.</param>
    /// <param name="limits">What may be sent.</param>
    /// <param name="isInference">It has pictures or tensors; otherwise it is some words.</param>
    /// <param name="next">Answers.</param>
    public static async Task AnswerAsync(HttpContext context, ModelRequests requests, LimitsOptions limits, bool isInference, RequestDelegate next)
    {
        using var message = await ReceiveAsync(context, requests, limits, isInference ? limits.RequestBytes : LimitsOptions.MaxPartLineBytes);
        var upload = context.Upload();
        var (rest, taken) = isInference ? TakeApart(context, message.Memory, limits) : ([.. new byte[Prefix], .. message.Memory.Span], 0);
        upload.Take(taken);
        try
        {
            BinaryPrimitives.WriteInt32BigEndian(rest.AsSpan(1), rest.Length - Prefix);
            context.Request.Headers.Remove("grpc-encoding");
            context.Features.Set<IRequestBodyPipeFeature>(new Body(PipeReader.Create(new ReadOnlySequence<byte>(rest))));
            await next(context);
        }
        finally
        {
            upload.Return(taken);
        }
    }

    private static async Task<ReceivedFile> ReceiveAsync(HttpContext context, ModelRequests requests, LimitsOptions limits, long most)
    {
        var (request, body) = (context.Request, context.Request.Body);
        var prefix = new byte[Prefix];
        if (await body.ReadAtLeastAsync(prefix, Prefix, throwOnEndOfStream: false, context.RequestAborted) < Prefix)
        {
            throw Invalid("The call has no message.");
        }

        long length = BinaryPrimitives.ReadUInt32BigEndian(prefix.AsSpan(1));
        if (length > most)
        {
            throw GuardedBody.TooLarge(length, most);
        }

        if (prefix[0] == 0)
        {
            var message = await requests.ReadBodyAsync(context, body, length);
            if (message.Memory.Length == length)
            {
                return message;
            }

            message.Dispose();
            throw Invalid("The message ends too early.");
        }

        var encoding = request.Headers.GrpcEncoding.ToString();
        var unpacked = RequestBodies.Unpack(encoding, body, limits);
        if (unpacked is null || unpacked == body)
        {
            throw new RequestRefusedException(
                StatusCodes.Status415UnsupportedMediaType, "Unsupported encoding", "unsupported-content-encoding",
                $"The message is packed, and its encoding '{Refusal.Shorten(encoding)}' is not supported. Send gzip, deflate, br or none.",
                ("encoding", Refusal.Shorten(encoding)));
        }

        var whole = await requests.ReadBodyAsync(context, unpacked, null);
        if (whole.Memory.Length <= most)
        {
            return whole;
        }

        whole.Dispose();
        throw GuardedBody.TooLarge(null, most);
    }

    /// <summary>Takes the raw inputs out; answers the rest behind room for its prefix, and how many bytes what is made of it takes.</summary>
    private static (byte[] Others, int Bytes) TakeApart(HttpContext context, ReadOnlyMemory<byte> message, LimitsOptions limits)
    {
        try
        {
            var raw = new List<ReadOnlyMemory<byte>>();
            var parts = new List<Range>();
            var count = 0;
            var sizes = new Sizes();
            for (var fields = new MessageFields(message); fields.Next();)
            {
                if (fields is { Number: RawInputContents, HasLength: true })
                {
                    if (count++ == 0)
                    {
                        raw.Add(message[fields.Content]);
                    }

                    continue;
                }

                // Those that lie side by side are one part.
                if (parts is [.., var last] && last.End.Value == fields.Whole.Start.Value)
                {
                    parts[^1] = last.Start..fields.Whole.End;
                }
                else if (parts.Count < LimitsOptions.MaxPartLineBytes)
                {
                    parts.Add(fields.Whole);
                }

                sizes.Add(message, fields);
            }

            sizes.Check(limits);
            context.Features.Set(new RawContents(raw, count));
            var rest = new byte[Prefix + parts.Sum(part => part.GetOffsetAndLength(message.Length).Length)];
            var at = Prefix;
            foreach (var part in parts)
            {
                message[part].CopyTo(rest.AsMemory(at));
                at += message[part].Length;
            }

            return (rest, checked((int)Math.Min(int.MaxValue, rest.Length + sizes.Kept)));
        }
        catch (InvalidDataException)
        {
            throw Invalid("failed to parse the request: it is no ModelInferRequest");
        }
    }

    private static InferenceException Invalid(string sentence) => new(InferenceError.InvalidRequest, sentence);

    /// <summary>How much is what. A message of some bytes becomes an object of some dozens, so only what is data may be long.</summary>
    private struct Sizes
    {
        private long _words;
        private long _pictures;

        /// <summary>Bytes of what is made of the data.</summary>
        public long Kept { get; private set; }

        /// <summary>A field beside the raw inputs.</summary>
        public void Add(ReadOnlyMemory<byte> message, in MessageFields field)
        {
            _words += Length(field.Whole);
            if (field is not { Number: Inputs, HasLength: true })
            {
                return;
            }

            var input = message[field.Content];
            for (var fields = new MessageFields(input); fields.Next();)
            {
                if (fields is not { Number: Contents, HasLength: true })
                {
                    continue;
                }

                var contents = input[fields.Content];
                for (var lists = new MessageFields(contents); lists.Next();)
                {
                    var length = Length(lists.Content);
                    _words -= lists.Number is > 0 and <= BytesContents ? length : 0;
                    _pictures += lists.Number == BytesContents ? 1 : 0;
                    Kept += lists.Number == BytesContents ? length : WidthOfNumbers * (long)length;
                }
            }
        }

        public readonly void Check(LimitsOptions limits)
        {
            if (_pictures > limits.MaxImagesPerRequest)
            {
                throw DeclaredInput.Invalid($"inference request batch-size must be <= {limits.MaxImagesPerRequest}, got {_pictures}");
            }

            if (_words > LimitsOptions.MaxPartLineBytes)
            {
                throw DeclaredInput.Invalid(
                    $"The message has {Counted.Of(_words, "byte")} that are neither a picture nor a tensor; the limit is {LimitsOptions.MaxPartLineBytes:N0}.");
            }
        }

        private static int Length(Range range) => range.End.Value - range.Start.Value;
    }

    private sealed class Body(PipeReader reader) : IRequestBodyPipeFeature
    {
        public PipeReader Reader => reader;
    }
}
