using System.ComponentModel.DataAnnotations;
using System.Globalization;
using System.Net;
using Microsoft.Extensions.Configuration;
using Whatsit.Inference.Backends;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Imaging;
using Whatsit.Inference.Scheduling;
using Whatsit.Server.Access;
using Whatsit.Server.Management;
using Whatsit.Server.Telemetry;
using YamlDotNet.RepresentationModel;

namespace Whatsit.Server.Tests.Telemetry;

/// <summary>What the manifests under <c>deploy/kubernetes</c> say of the server is so, and of each other, too.</summary>
public sealed class KubernetesTests(WhatsitServer server)
{
    private static readonly string Folder = Path.Combine(WhatsitServer.Root, "deploy/kubernetes");

    private static readonly Dictionary<string, Type> Sections = new()
    {
        ["Access"] = typeof(AccessOptions),
        ["Catalog"] = typeof(CatalogOptions),
        ["Decoding"] = typeof(DecodingOptions),
        ["Limits"] = typeof(LimitsOptions),
        ["Log"] = typeof(LogOptions),
        ["Management"] = typeof(ManagementOptions),
        ["OnnxRuntime"] = typeof(OnnxBackendOptions),
        ["Proxies"] = typeof(ProxiesOptions),
        ["Remote"] = typeof(RemoteOptions),
        ["Scheduling"] = typeof(SchedulingOptions),
        ["Shutdown"] = typeof(ShutdownOptions),
    };

    public static TheoryData<string> Files => [.. Directory.GetFiles(Folder, "*.yaml", SearchOption.AllDirectories)
        .Select(file => Path.GetRelativePath(Folder, file)).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Files))]
    public void Every_manifest_is_named_by_the_kustomization_beside_it(string file)
    {
        var manifest = Read(file);
        Assert.NotEmpty(Text(manifest, "apiVersion"));
        if (Text(manifest, "kind") != "Kustomization")
        {
            Assert.NotEmpty(Text(manifest["metadata"], "name"));
            var named = NamedBy(Path.GetDirectoryName(file)!);
            Assert.Contains(Path.GetFileName(file), named);
            return;
        }

        Assert.All(NamedBy(Path.GetDirectoryName(file)!), name =>
        {
            var path = Path.Combine(Folder, Path.GetDirectoryName(file)!, name);
            Assert.True(File.Exists(path) || File.Exists(Path.Combine(path, "kustomization.yaml")), name);
        });
    }

    [Theory]
    [InlineData("base/deployment.yaml")]
    [InlineData("overlays/production/deployment.yaml")]
    public void Every_setting_is_one_of_the_servers_and_within_its_limits(string file)
    {
        CheckSettings(Container(file));
    }

    [Theory]
    [InlineData("predictor")]
    [InlineData("transformer")]
    public async Task KServe_finds_a_server_under_its_own_probes_and_arguments(string component)
    {
        var spec = Read($"../kserve/{component}.yaml")["spec"][component];
        var container = spec["containers"][0];
        Assert.Equal(("kserve-container", "8080"), (Text(container, "name"), Text(container["ports"][0], "containerPort")));
        CheckSettings(container);
        foreach (var probe in (string[])["readinessProbe", "livenessProbe"])
        {
            Assert.Equal("8080", Text(container[probe]["httpGet"], "port"));
            using var answer = await server.Http.GetAsync(Text(container[probe]["httpGet"], "path"), TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        }

        // https://kserve.github.io/website/docs/model-serving/predictive-inference/transformers/custom-transformer
        await using var own = WhatsitServer.With(new() { ["model_name"] = "photos", ["predictor_host"] = "photos-predictor", ["http_port"] = "8080" });
        await own.InitializeAsync();
        using var picture = HttpAssert.Raw(WhatsitServer.Picture);
        await HttpAssert.OkAsync(await own.Http.PostAsync("/predict", picture, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Probes_and_ports_are_those_that_answer()
    {
        var container = Container("base/deployment.yaml");
        var ports = ((YamlSequenceNode)container["ports"]).ToDictionary(port => Text(port, "name"), port => Text(port, "containerPort"));
        Assert.Equal(Variable("PORT"), ports["http"]);
        Assert.Equal(Variable("Management__Port"), ports["management"]);
        foreach (var probe in (string[])["startupProbe", "readinessProbe", "livenessProbe"])
        {
            Assert.Equal("http", Text(container[probe]["httpGet"], "port"));
            using var answer = await server.Http.GetAsync(Text(container[probe]["httpGet"], "path"), TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        }

        Assert.Equal("http", Text(Read("base/service.yaml")["spec"]["ports"][0], "targetPort"));
        var backend = Read("overlays/production/ingress.yaml")["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"];
        Assert.Equal((Text(Read("base/service.yaml")["metadata"], "name"), Text(Read("base/service.yaml")["spec"]["ports"][0], "name")),
            (Text(backend, "name"), Text(backend["port"], "name")));

        string Variable(string name) => Text(((YamlSequenceNode)container["env"]).Single(variable => Text(variable, "name") == name), "value");
    }

    [Fact]
    public void A_pod_has_more_time_to_end_than_the_server_takes()
    {
        var pod = Read("base/deployment.yaml")["spec"]["template"]["spec"];
        var seconds = ((YamlSequenceNode)Container("base/deployment.yaml")["env"]).Single(variable => Text(variable, "name") == "Shutdown__Seconds");
        // A second of grace behind it: Shutdown.
        Assert.True(Number(pod, "terminationGracePeriodSeconds") > Number(seconds, "value") + 1);
    }

    [Fact]
    public async Task The_autoscalers_metric_exists()
    {
        var metric = Text(Read("base/horizontalpodautoscaler.yaml")["spec"]["metrics"][0]["pods"]["metric"], "name");
        Assert.Contains($"\n{metric}", await server.Http.GetStringAsync("/metrics", TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("base/deployment.yaml")]
    [InlineData("batch/job.yaml")]
    public void A_pod_has_no_rights_that_it_does_not_need(string file)
    {
        var pod = Read(file)["spec"]["template"]["spec"];
        var container = pod["containers"][0];
        Assert.Equal(("false", "true", "1654", "RuntimeDefault"), (Text(pod, "automountServiceAccountToken"), Text(pod["securityContext"], "runAsNonRoot"),
            Text(pod["securityContext"], "runAsUser"), Text(pod["securityContext"]["seccompProfile"], "type")));
        var context = container["securityContext"];
        Assert.Equal(("false", "true", "ALL"), (Text(context, "allowPrivilegeEscalation"), Text(context, "readOnlyRootFilesystem"),
            ((YamlScalarNode)context["capabilities"]["drop"][0]).Value));
        Assert.NotEmpty(Text(container["resources"]["limits"], "memory"));
        Assert.NotEmpty(Text(container["resources"]["requests"], "cpu"));
    }

    [Fact]
    public void Every_selector_selects_the_pods()
    {
        string[] selectors =
        [
            Label(Read("base/deployment.yaml")["spec"]["selector"]["matchLabels"]),
            Label(Read("base/service.yaml")["spec"]["selector"]),
            Label(Read("base/poddisruptionbudget.yaml")["spec"]["selector"]["matchLabels"]),
            Label(Read("base/networkpolicy.yaml")["spec"]["podSelector"]["matchLabels"]),
        ];
        Assert.All(selectors, label => Assert.Equal(Label(Read("base/deployment.yaml")["spec"]["template"]["metadata"]["labels"]), label));

        static string Label(YamlNode labels) => Text(labels, "app.kubernetes.io/name");
    }

    private static void CheckSettings(YamlNode container)
    {
        var values = container["env"] is YamlSequenceNode env
            ? env.Select(variable => (Name: Text(variable, "name").Replace("__", ":", StringComparison.Ordinal), Value: Optional(variable, "value"))).ToArray()
            : [];
        Assert.NotEmpty(values);
        var configuration = new ConfigurationBuilder()
            .AddInMemoryCollection(values.Select(value => KeyValuePair.Create<string, string?>(value.Name, value.Value ?? new string('0', 64)))).Build();
        Assert.All(configuration.GetChildren().Where(section => section.Key != "PORT"), section =>
        {
            var options = section.Get(Sections[section.Key], binder => binder.ErrorOnUnknownConfiguration = true)!;
            Validator.ValidateObject(options, new ValidationContext(options), validateAllProperties: true);
        });
    }

    private static YamlNode Container(string file) => Read(file)["spec"]["template"]["spec"]["containers"][0];

    private static string[] NamedBy(string folder)
    {
        var kustomization = (YamlMappingNode)Read(Path.Combine(folder, "kustomization.yaml"));
        return
        [
            .. Children("resources").Select(resource => ((YamlScalarNode)resource).Value!),
            .. Children("patches").Select(patch => Text(patch, "path")),
        ];

        IEnumerable<YamlNode> Children(string name) => kustomization.Children.TryGetValue(name, out var list) ? (YamlSequenceNode)list : [];
    }

    private static YamlNode Read(string file)
    {
        var yaml = new YamlStream();
        yaml.Load(new StringReader(File.ReadAllText(Path.Combine(Folder, file))));
        return Assert.Single(yaml.Documents).RootNode;
    }

    private static string Text(YamlNode node, string name) => Optional(node, name) ?? throw new KeyNotFoundException(name);

    private static string? Optional(YamlNode node, string name) =>
        ((YamlMappingNode)node).Children.TryGetValue(name, out var value) ? ((YamlScalarNode)value).Value : null;

    private static int Number(YamlNode node, string name) => int.Parse(Text(node, name), CultureInfo.InvariantCulture);
}
