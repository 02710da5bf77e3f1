using System.ComponentModel.DataAnnotations;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http.Extensions;
using Microsoft.Net.Http.Headers;
using Whatsit.Inference.Catalog;

namespace Whatsit.Server.Compatibility.Tutorial;

/// <summary>How the model for the browser is parted. Configuration section <c>Tfjs</c>.</summary>
public sealed class TfjsOptions
{
    /// <summary>
    /// Bytes of each file of weights under <c>/assets/model_tfjs/</c>: 0 for one file, <c>group1-shard1of1.bin</c>, which the tutorial's mobile app has in its
    /// program. The default has the files as the bundle has them.
    /// </summary>
    [Range(0, int.MaxValue)]
    public int? ShardSize { get; set; }
}

/// <summary>
/// A bundle's graph model for TensorFlow.js with its weights parted otherwise: <c>model.json</c> names other files, and each of them is made of the bundle's
/// while it is sent. Shards are nothing but the parts of one sequence of bytes (https://github.com/tensorflow/tfjs/blob/master/tfjs-core/src/io/types.ts,
/// <c>WeightsManifestGroupConfig</c>).
/// </summary>
internal sealed class TutorialShards
{
    private readonly byte[] _model;
    private readonly Dictionary<string, Shard> _shards = new(StringComparer.Ordinal);

    /// <param name="model">The bundle's <c>model.json</c>.</param>
    /// <param name="parts">The files of weights by name.</param>
    /// <param name="size">Bytes of each file; 0 for one file.</param>
    public TutorialShards(ReadOnlySpan<byte> model, IReadOnlyDictionary<string, BundleFile> parts, int size)
    {
        var graph = JsonNode.Parse(model)!;
        foreach (var (index, group) in graph["weightsManifest"]!.AsArray().Index())
        {
            BundleFile[] files = [.. group!["paths"]!.AsArray().Select(path => parts[(string)path!])];
            var total = files.Sum(file => file.Bytes);
            var each = size == 0 ? Math.Max(1, total) : size;
            var count = Math.Max(1, (total + each - 1) / each);
            var names = new JsonArray();
            for (var shard = 0L; shard < count; shard++)
            {
                var name = $"group{index + 1}-shard{shard + 1}of{count}.bin";
                _shards[name] = new(files, shard * each, Math.Min(each, total - (shard * each)));
                names.Add(name);
            }

            group["paths"] = names;
        }

        _model = Encoding.UTF8.GetBytes(graph.ToJsonString(new() { Encoder = ReadableJson.Encoder }));
    }

    /// <summary>The file that is asked for; <see langword="null"/> if it is none of these.</summary>
    public IResult? Get(string file, HttpContext context, BundleFiles files)
    {
        if (file == "model.json")
        {
            return TypedResults.Bytes(_model, "application/json", entityTag: Tag(_model));
        }

        return _shards.TryGetValue(file, out var shard)
            ? TypedResults.Stream(
                async body =>
                {
                    context.Response.ContentLength = shard.Length;
                    await shard.CopyToAsync(body, files, context.RequestAborted);
                },
                "application/octet-stream",
                entityTag: Tag(Encoding.UTF8.GetBytes(shard.ToString())))
            : null;
    }

    private static EntityTagHeaderValue Tag(byte[] content) => new($"\"{Convert.ToHexStringLower(SHA256.HashData(content))}\"");

    /// <summary>A stretch of bytes across files that follow one another.</summary>
    private sealed record Shard(BundleFile[] Files, long Offset, long Length)
    {
        /// <summary>What it is made of, by which its content is known.</summary>
        public override string ToString() => $"{string.Join(',', Files.Select(file => file.Sha256))} {Offset} {Length}";

        public async Task CopyToAsync(Stream to, BundleFiles files, CancellationToken cancellationToken)
        {
            var (skip, left) = (Offset, Length);
            foreach (var file in Files)
            {
                if (skip < file.Bytes && left > 0)
                {
                    var (from, _) = files.Open(file.File);
                    await using (from)
                    {
                        from.Position = skip;
                        var bytes = Math.Min(left, file.Bytes - skip);
                        await StreamCopyOperation.CopyToAsync(from, to, bytes, cancellationToken);
                        left -= bytes;
                    }
                }

                skip = Math.Max(0, skip - file.Bytes);
            }
        }
    }
}
