using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Whatsit.Benchmarks.Contestants;

namespace Whatsit.Benchmarks.Load;

/// <summary>What the server's runtime says about itself in <c>/metrics</c>.</summary>
/// <param name="AllocatedBytes">Bytes allocated since the start.</param>
/// <param name="Collections">Garbage collections by generation, each counted with the generations above it.</param>
internal sealed partial record RuntimeCounters(double AllocatedBytes, double[] Collections)
{
    /// <summary>Asks a server of ours.</summary>
    public static async Task<RuntimeCounters> ReadAsync(Contestant server)
    {
        using var connection = new HttpConnection(server.Port);
        await connection.SendAsync(HttpConnection.Get("/metrics"));
        var text = Encoding.UTF8.GetString(connection.Body.Span);
        return new(
            Number(AllocatedLine().Match(text)),
            [.. Enumerable.Range(0, 3)
                .Select(generation => CollectionLine().Matches(text).Where(line => line.Groups["generation"].Value == $"gen{generation}").Sum(Number))]);
    }

    private static double Number(Match line) => line.Success ? double.Parse(line.Groups["value"].Value, CultureInfo.InvariantCulture) : 0;

    [GeneratedRegex(@"^dotnet_gc_heap_total_allocated_bytes(?:_total)?(?:{[^}]*})? (?<value>\S+)$", RegexOptions.Multiline)]
    private static partial Regex AllocatedLine();

    [GeneratedRegex(@"^dotnet_gc_collections(?:_total)?{[^}]*(?<generation>gen\d)[^}]*} (?<value>\S+)$", RegexOptions.Multiline)]
    private static partial Regex CollectionLine();
}
