using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using YamlDotNet.RepresentationModel;

namespace Whatsit.Server.Tests.Telemetry;

/// <summary>What lies under <c>deploy</c> asks for metrics that exist.</summary>
public sealed partial class DeployTests(WhatsitServer server)
{
    // PromQL's words that are no functions: https://prometheus.io/docs/prometheus/latest/querying/operators/
    private static readonly string[] Words = ["by", "without", "on", "ignoring", "group_left", "group_right", "and", "or", "unless", "bool", "offset"];

    [Fact(Timeout = 600_000)]
    public async Task The_dashboards_metrics_exist()
    {
        var dashboard = JsonNode.Parse(await File.ReadAllTextAsync(Path.Combine(WhatsitServer.Root, "deploy/grafana-dashboard.json"),
            TestContext.Current.CancellationToken))!;
        var panels = dashboard["panels"]!.AsArray();
        Assert.Equal(["Traffic", "Errors", "Latency", "Saturation", "What the model sees"], panels.Where(panel => (string)panel!["type"]! == "row")
            .Select(row => (string)row!["title"]!));
        var queries = panels.SelectMany(panel => panel!["targets"]?.AsArray() ?? []).Select(target => (string)target!["expr"]!).ToList();
        queries.AddRange(dashboard["templating"]!["list"]!.AsArray().Select(variable => variable!["query"] as JsonObject).OfType<JsonObject>()
            .Select(query => (string)query["query"]!));
        Assert.InRange(queries.Count, 15, 100);
        await AssertExistAsync(queries);
    }

    [Fact(Timeout = 600_000)]
    public async Task The_alerts_metrics_exist()
    {
        var yaml = new YamlStream();
        yaml.Load(new StringReader(await File.ReadAllTextAsync(Path.Combine(WhatsitServer.Root, "deploy/prometheus-alerts.yaml"),
            TestContext.Current.CancellationToken)));
        var rules = yaml.Documents[0].RootNode["groups"][0]["rules"];
        var alerts = ((YamlSequenceNode)rules).Children;
        Assert.All(alerts, alert => Assert.NotEmpty(((YamlScalarNode)alert["annotations"]["summary"]).Value!));
        await AssertExistAsync([.. alerts.Select(alert => ((YamlScalarNode)alert["expr"]).Value!)]);
    }

    [Theory]
    [InlineData("sum by (a, b) (rate(x_total{l=\"y\",m=~\"z.*\"}[5m])) / on (instance) w > 0.9", "x_total w")]
    [InlineData("label_values(x, job)", "x")]
    [InlineData("histogram_quantile(0.5, sum by (le) (rate(x_bucket[$__rate_interval])))", "x_bucket")]
    public void Metrics_are_found_in_queries(string query, string metrics) => Assert.Equal(metrics.Split(' '), MetricsOf(query));

    private async Task AssertExistAsync(IReadOnlyCollection<string> queries)
    {
        using var content = HttpAssert.Raw(WhatsitServer.Picture);
        await HttpAssert.OkAsync(await server.Http.PostAsync("/predict", content, TestContext.Current.CancellationToken));
        var exposed = Sample().Matches(await server.Http.GetStringAsync("/metrics", TestContext.Current.CancellationToken)).Select(sample => sample.Value)
            // Prometheus makes this one itself.
            .Append("up").ToHashSet();
        Assert.All(queries, query =>
        {
            var metrics = MetricsOf(query).ToArray();
            Assert.NotEmpty(metrics);
            Assert.All(metrics, metric => Assert.Contains(metric, exposed));
        });
    }

    /// <summary>The names in a query, but for those of labels, functions and variables.</summary>
    private static IEnumerable<string> MetricsOf(string query)
    {
        var names = Labels().Replace(query, " ");
        names = LabelValues().Replace(names, "$1");
        return Name().Matches(names).Where(name => !name.Groups["call"].Success && !Words.Contains(name.Groups["name"].Value))
            .Select(name => name.Groups["name"].Value);
    }

    [GeneratedRegex("""(?m)^\w+(?=[{ ])""")]
    private static partial Regex Sample();

    // Matchers, ranges, and the lists after by and on.
    [GeneratedRegex("""\{[^}]*\}|\[[^\]]*\]|\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)""")]
    private static partial Regex Labels();

    [GeneratedRegex(@"label_values\((\w+),\s*\w+\)")]
    private static partial Regex LabelValues();

    [GeneratedRegex(@"\b(?<name>[A-Za-z_:][\w:]*)\b(?<call>\s*\()?")]
    private static partial Regex Name();
}
