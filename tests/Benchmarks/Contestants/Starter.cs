using System.Diagnostics;
using Whatsit.Inference.Catalog;

namespace Whatsit.Benchmarks.Contestants;

/// <summary>How each server is started.</summary>
internal static class Starter
{
    /// <summary>Our server with the memory that its image has it use (<c>ENV</c> in the Dockerfile), with its default settings.</summary>
    /// <param name="folder">Where it was published to.</param>
    /// <param name="name">As the tables say it.</param>
    /// <param name="model">The bundle: its name in models/, or its folder.</param>
    /// <param name="variant">The variant of its weights.</param>
    public static Task<Contestant> WhatsitAsync(string folder, string name, string model, string variant) => Contestant.StartAsync(
        name,
        variant,
        [Path.Combine(Repository.PathOf(folder), "Whatsit.Server"), "--urls", "http://127.0.0.1:{port}"],
        new()
        {
            ["Catalog__Models"] = Path.GetDirectoryName(Repository.BundleOf(model))!,
            ["Catalog__DefaultModel"] = Path.GetFileName(Repository.BundleOf(model)),
            ["Catalog__Variant"] = variant,
            ["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=1",
        },
        "/predict",
        "/health/ready");

    /// <summary>Our server, with a port for gRPC.</summary>
    /// <param name="folder">Where it was published to.</param>
    /// <param name="name">As the tables say it.</param>
    /// <param name="models">Its folder of models.</param>
    /// <param name="variant">The variant of the weights.</param>
    /// <param name="grpcPort">That port; none where it asks others.</param>
    /// <param name="behind">The servers that it asks.</param>
    public static Task<Contestant> TierAsync(string folder, string name, string models, string variant, int grpcPort, IReadOnlyList<Contestant> behind) =>
        Contestant.StartAsync(
            name,
            variant,
            [Path.Combine(Repository.PathOf(folder), "Whatsit.Server"), "--urls", "http://127.0.0.1:{port}"],
            new()
            {
                ["Catalog__Models"] = models,
                ["Catalog__Variant"] = behind.Count == 0 ? variant : "auto",
                ["Grpc__Port"] = $"{grpcPort}",
                ["Remote__Hosts__0"] = "127.0.0.1",
            },
            "/predict",
            "/health/ready",
            behind);

    /// <summary>Node's http, sharp and onnxruntime-node in two cluster workers, installed from the lock file beside it.</summary>
    /// <exception cref="PeerMissingException">There is no Node or no registry.</exception>
    public static async Task<Contestant> NodeAsync(string bundle, ModelManifest manifest, string variant)
    {
        var folder = Repository.PathOf("tests", "Benchmarks", "peers", "node");
        if (!File.Exists(Path.Combine(folder, "node_modules", ".package-lock.json")))
        {
            await CheckAsync(folder, "npm", "ci", "--ignore-scripts", "--no-fund", "--no-audit", "--loglevel=error");
        }

        return await Contestant.StartAsync(
            "Node: http, sharp, onnxruntime-node",
            variant,
            ["node", Path.Combine(folder, "server.mjs"), "{port}", Path.Combine(bundle, manifest.Files[variant].File), Path.Combine(bundle, manifest.Labels),
                $"{manifest.Input.Width}"],
            new() { ["NODE_ENV"] = "production" },
            "/predict",
            "/ready");
    }

    /// <summary>ASP.NET Core with ImageSharp and ONNX Runtime's package in one process.</summary>
    /// <exception cref="PeerMissingException">It could not be built.</exception>
    public static Task<Contestant> ImageSharpAsync(string bundle, ModelManifest manifest, string variant) =>
        DotNetAsync("ASP.NET Core: ImageSharp, ONNX Runtime", "imagesharp", "ImageSharpPeer", bundle, manifest, variant);

    /// <summary>ML.NET's image pipeline behind ASP.NET Core, with prediction engines in a pool.</summary>
    /// <exception cref="PeerMissingException">It could not be built.</exception>
    public static Task<Contestant> MlNetAsync(string bundle, ModelManifest manifest, string variant) =>
        DotNetAsync("ASP.NET Core: ML.NET", "mlnet", "MlNetPeer", bundle, manifest, variant);

    /// <summary>FastAPI under uvicorn with Pillow and TorchScript in two workers, from Debian's packages.</summary>
    /// <exception cref="PeerMissingException">The packages are not installed, or the weights are not fp32.</exception>
    public static async Task<Contestant> FastApiAsync(string bundle, ModelManifest manifest, string variant)
    {
        if (variant != "fp32" || manifest.Name != "grocery")
        {
            throw new PeerMissingException("TorchScript runs the fp32 weights of the bundled model only.");
        }

        var folder = Repository.PathOf("tests", "Benchmarks", "peers", "fastapi");
        await CheckAsync(folder, "/usr/bin/python3", "-c", "import fastapi, uvicorn, uvloop, httptools, torch, PIL");
        return await Contestant.StartAsync(
            "FastAPI: Pillow, TorchScript",
            variant,
            ["/usr/bin/python3", "-m", "uvicorn", "server:app", "--app-dir", folder, "--host", "127.0.0.1", "--port", "{port}", "--workers", "2", "--loop",
                "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"],
            new()
            {
                ["MODEL"] = Path.Combine(bundle, manifest.Files[variant].File),
                ["LABELS"] = Path.Combine(bundle, manifest.Labels),
                ["PYTHONDONTWRITEBYTECODE"] = "1"
            },
            "/predict",
            "/ready");
    }

    private static async Task<Contestant> DotNetAsync(string name, string folder, string project, string bundle, ModelManifest manifest, string variant)
    {
        await CheckAsync(Repository.PathOf("tests", "Benchmarks", "peers", folder), "dotnet", "build", "-c", "Release", "--nologo", "-v", "quiet",
            "-clp:ErrorsOnly");
        return await Contestant.StartAsync(
            name,
            variant,
            [Repository.PathOf("artifacts", "bin", project, "release", project), "{port}", Path.Combine(bundle, manifest.Files[variant].File),
                Path.Combine(bundle, manifest.Labels), $"{manifest.Input.Width}"],
            [],
            "/predict",
            "/ready");
    }

    /// <summary>Runs a command that must end well.</summary>
    /// <exception cref="PeerMissingException">It did not; the message is its last words.</exception>
    public static async Task CheckAsync(string folder, string program, params string[] arguments)
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo(program, arguments)
            {
                WorkingDirectory = folder,
                RedirectStandardOutput = true,
                RedirectStandardError = true
            })!;
            var output = process.StandardOutput.ReadToEndAsync();
            var error = process.StandardError.ReadToEndAsync();
            await process.WaitForExitAsync();
            if (process.ExitCode != 0)
            {
                // Compilers complain on the one, interpreters on the other.
                throw new PeerMissingException((await error is { Length: > 0 } complaint ? complaint : await output).TrimEnd().Split('\n')[^1]);
            }
        }
        catch (System.ComponentModel.Win32Exception)
        {
            throw new PeerMissingException($"{program} is not installed.");
        }
    }
}

/// <summary>A peer cannot run here; the message says why.</summary>
internal sealed class PeerMissingException(string why) : Exception(why);
