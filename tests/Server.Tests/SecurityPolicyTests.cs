using System.Collections;
using System.Globalization;
using System.Text.RegularExpressions;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Explaining;
using Whatsit.Inference.Imaging;
using Whatsit.Inference.Scheduling;
using Whatsit.Server.Access;
using Whatsit.Server.Management;
using Whatsit.Server.Predictions;

namespace Whatsit.Server.Tests;

/// <summary>The limits in SECURITY.md are those of the program.</summary>
public sealed partial class SecurityPolicyTests
{
    private static readonly Dictionary<string, object> Sections = new()
    {
        ["Limits"] = new LimitsOptions(),
        ["Decoding"] = new DecodingOptions(),
        ["Scheduling"] = new SchedulingOptions(),
        ["Explain"] = new ExplainOptions(),
        ["FetchByUrl"] = new FetchOptions(),
        ["Access"] = new AccessOptions(),
        ["Catalog"] = new CatalogOptions(),
        ["Management"] = new ManagementOptions(),
        ["Proxies"] = new ProxiesOptions(),
        ["Cors"] = new CrossOriginOptions(),
        ["Shutdown"] = new ShutdownOptions(),
    };

    private readonly string _policy = File.ReadAllText(Path.Combine(WhatsitServer.Root, "SECURITY.md"));

    [Fact]
    public void Every_default_is_that_of_its_option()
    {
        var rows = Rows().Matches(_policy);
        Assert.All(rows, row =>
        {
            var options = Sections[row.Groups["section"].Value];
            var property = options.GetType().GetProperty(row.Groups["name"].Value);
            Assert.True(property is not null, row.Value);
            Assert.Equal((row.Groups["name"].Value, Shown(property.GetValue(options))), (row.Groups["name"].Value, row.Groups["default"].Value));
        });
        // No limit is left out.
        Assert.Empty(Sections.Keys.Take(1).SelectMany(section => Sections[section].GetType().GetProperties().Select(property => $"{section}:{property.Name}"))
            .Except(rows.Select(row => $"{row.Groups["section"].Value}:{row.Groups["name"].Value}")));
    }

    [Fact]
    public void What_follows_from_other_limits_and_what_is_fixed_is_said_as_it_is()
    {
        var limits = new LimitsOptions();
        Assert.Contains(Number($"none means what the other limits allow, {limits.RequestBytes:N0} |"), _policy, StringComparison.Ordinal);
        Assert.Contains(Number($"none means half of all, or one picture as text if that is more, {limits.UploadBytesPerClient:N0} |"), _policy,
            StringComparison.Ordinal);
        Assert.Contains(Number($"Fixed: {LimitsOptions.MaxFields} fields beside the pictures"), _policy, StringComparison.Ordinal);
        Assert.Contains(Number($"{LimitsOptions.MaxPartHeaders} headers of a part"), _policy, StringComparison.Ordinal);
        Assert.Contains(Number($"{LimitsOptions.MaxPartLineBytes:N0} bytes of a part's line"), _policy, StringComparison.Ordinal);
    }

    private static string Number(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private static string Shown(object? value) => value switch
    {
        null or IList { Count: 0 } or ICollection<ApiKey> { Count: 0 } => "none",
        bool flag => flag ? "true" : "false",
        IFormattable number => number.ToString("#,0.###", CultureInfo.InvariantCulture),
        _ => $"{value}",
    };

    [GeneratedRegex(@"^\| `(?<section>\w+):(?<name>\w+)` \| (?<default>\S+) \| ", RegexOptions.Multiline)]
    private static partial Regex Rows();
}
