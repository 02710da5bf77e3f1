using System.ComponentModel;
using System.Diagnostics;
using System.Text.Json.Serialization;
using k8s;
using k8s.Models;
using YamlDotNet.Core;

namespace Whatsit.Server.Tests.Telemetry;

/// <summary>
/// The manifests under <c>deploy</c> have no field that Kubernetes does not know, and none twice: KubernetesClient's models, which are made of the published
/// OpenAPI document, read them strictly.
/// </summary>
public sealed class ManifestSchemaTests
{
    private static readonly string Folder = Path.Combine(WhatsitServer.Root, "deploy");

    private static readonly Dictionary<string, Type> Custom = new() { ["serving.kserve.io/v1beta1/InferenceService"] = typeof(InferenceService) };

    public static TheoryData<string> Files => [.. new[] { "kubernetes", "kserve" }
        .SelectMany(folder => Directory.GetFiles(Path.Combine(Folder, folder), "*.yaml", SearchOption.AllDirectories))
        .Where(file => Path.GetFileName(file) != "kustomization.yaml")
        .Select(file => Path.GetRelativePath(Folder, file)).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Files))]
    public void Every_manifest_is_what_its_schema_says(string file) =>
        Assert.All(Load(File.ReadAllText(Path.Combine(Folder, file))), resource => Assert.NotEmpty(resource.Metadata.Name));

    [Theory]
    [InlineData("kubernetes/base/deployment.yaml", "replicas:", "replica:")]
    [InlineData("kubernetes/base/deployment.yaml", "readOnlyRootFilesystem:", "readOnlyFilesystem:")]
    [InlineData("kserve/predictor.yaml", "maxReplicas:", "maximumReplicas:")]
    [InlineData("kserve/predictor.yaml", "containerPort:", "port:")]
    [InlineData("kserve/transformer.yaml", "storageUri:", "storageUrl:")]
    public void A_field_that_is_none_is_seen(string file, string field, string wrong)
    {
        var manifest = File.ReadAllText(Path.Combine(Folder, file));
        Assert.Contains(field, manifest, StringComparison.Ordinal);
        Assert.Throws<YamlException>(() => Load(manifest.Replace(field, wrong, StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("base", "whatsit:latest", null)]
    [InlineData("overlays/cpu", "whatsit:latest", null)]
    [InlineData("overlays/production", "registry.example.com/whatsit:1.0.0", "whatsit")]
    [InlineData("batch", "whatsit-tool:latest", null)]
    public async Task Every_kustomization_resolves_to_manifests(string folder, string image, string? space)
    {
        var resources = Load(await KustomizeAsync(folder));
        Assert.All(resources.Where(resource => resource is not V1Namespace), resource => Assert.Equal(space, resource.Metadata.NamespaceProperty));
        var pods = resources.Select(resource => resource switch
        {
            V1Deployment deployment => deployment.Spec.Template.Spec,
            V1Job job => job.Spec.Template.Spec,
            _ => null,
        }).OfType<V1PodSpec>();
        Assert.Equal([image], pods.Single().Containers.Select(container => container.Image));
        Assert.Equal(resources.Count, resources.Select(resource => (resource.Kind, resource.Metadata.Name)).Distinct().Count());
    }

    [Fact]
    public async Task Overlays_change_what_they_are_there_for()
    {
        var cpu = Load(await KustomizeAsync("overlays/cpu")).OfType<V2HorizontalPodAutoscaler>().Single();
        Assert.Equal(["Resource"], cpu.Spec.Metrics.Select(metric => metric.Type));
        var container = Load(await KustomizeAsync("overlays/production")).OfType<V1Deployment>().Single().Spec.Template.Spec.Containers.Single();
        Assert.Contains("Access__Keys__0__Sha256", container.Env.Select(variable => variable.Name));
        Assert.Contains("PORT", container.Env.Select(variable => variable.Name));
        Assert.Contains("/models", container.VolumeMounts.Select(mount => mount.MountPath));
        Assert.NotNull(container.ReadinessProbe);
    }

    private static List<IKubernetesObject<V1ObjectMeta>> Load(string manifests) =>
        [.. KubernetesYaml.LoadAllFromString(manifests, Custom, strict: true).Cast<IKubernetesObject<V1ObjectMeta>>()];

    /// <summary>kustomize itself, which has no package; kubectl has it inside.</summary>
    private static async Task<string> KustomizeAsync(string folder)
    {
        var start = new ProcessStartInfo("kubectl", ["kustomize", Path.Combine(Folder, "kubernetes", folder)])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        try
        {
            using var process = Process.Start(start)!;
            var error = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
            var output = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
            await process.WaitForExitAsync(TestContext.Current.CancellationToken);
            Assert.True(process.ExitCode == 0, await error);
            return output;
        }
        catch (Win32Exception)
        {
            Assert.Skip("kubectl is not installed, which resolves kustomize's overlays.");
            throw;
        }
    }
}

// KServe publishes no package. As much of its schema as our manifests use:
// https://github.com/kserve/kserve/blob/master/pkg/apis/serving/v1beta1 (inference_service.go, component.go, predictor.go, predictor_model.go). A component is
// a pod with further members, a model a container.

/// <summary>KServe's resource.</summary>
internal sealed class InferenceService : IKubernetesObject<V1ObjectMeta>
{
    [JsonPropertyName("apiVersion")]
    public string ApiVersion { get; set; } = "";

    [JsonPropertyName("kind")]
    public string Kind { get; set; } = "";

    [JsonPropertyName("metadata")]
    public V1ObjectMeta Metadata { get; set; } = new();

    [JsonPropertyName("spec")]
    public InferenceServiceSpec Spec { get; set; } = new();
}

/// <summary>Its components.</summary>
internal sealed class InferenceServiceSpec
{
    [JsonPropertyName("predictor")]
    public PredictorSpec? Predictor { get; set; }

    [JsonPropertyName("transformer")]
    public ComponentSpec? Transformer { get; set; }
}

/// <summary>What is common to all components (ComponentExtensionSpec, inlined beside PodSpec).</summary>
internal record ComponentSpec : V1PodSpec
{
    [JsonPropertyName("minReplicas")]
    public int? MinReplicas { get; set; }

    [JsonPropertyName("maxReplicas")]
    public int? MaxReplicas { get; set; }

    [JsonPropertyName("scaleTarget")]
    public int? ScaleTarget { get; set; }

    [JsonPropertyName("scaleMetric")]
    public string? ScaleMetric { get; set; }

    [JsonPropertyName("containerConcurrency")]
    public long? ContainerConcurrency { get; set; }

    [JsonPropertyName("timeout")]
    public long? Timeout { get; set; }
}

/// <summary>The component that computes.</summary>
internal sealed record PredictorSpec : ComponentSpec
{
    [JsonPropertyName("model")]
    public ModelSpec? Model { get; set; }
}

/// <summary>A model that a runtime serves.</summary>
internal sealed record ModelSpec : V1Container
{
    [JsonPropertyName("modelFormat")]
    public ModelFormat ModelFormat { get; set; } = new();

    [JsonPropertyName("runtime")]
    public string? Runtime { get; set; }

    [JsonPropertyName("storageUri")]
    public string? StorageUri { get; set; }

    [JsonPropertyName("runtimeVersion")]
    public string? RuntimeVersion { get; set; }

    [JsonPropertyName("protocolVersion")]
    public string? ProtocolVersion { get; set; }
}

/// <summary>What a model is.</summary>
internal sealed class ModelFormat
{
    [JsonPropertyName("name")]
    public string Name { get; set; } = "";

    [JsonPropertyName("version")]
    public string? Version { get; set; }
}
