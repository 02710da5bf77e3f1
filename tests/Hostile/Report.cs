using System.Globalization;
using System.Text;

namespace Whatsit.Hostile;

/// <summary>The table of all families, and what is too much.</summary>
internal static class Report
{
    /// <summary>Megabytes over idle that no input may take.</summary>
    public const double MostMb = 250;

    /// <summary>Times the processor time of a plain 12-megapixel JPEG: 2 s where that takes 40 ms.</summary>
    public const double MostPlains = 50;

    /// <summary>The same for a small photo beside an input: 1 s.</summary>
    public const double MostPlainsBeside = 25;

    private const string Start = "<!-- ./build.sh hostile -->", End = "<!-- end -->";

    public static string Line(Outcome outcome) => string.Create(CultureInfo.InvariantCulture,
        $"{(outcome.HasCrashed ? "CRASH" : outcome.IsWrong ? "WRONG" : "ok"),-5} {outcome.Status,3} {outcome.WorkMs,7:0} ms of work {outcome.Ms,7:0} ms "
        + $"{outcome.OverIdleMb,6:0} MB {outcome.BesideMs,6:0} ms beside  {outcome.Family}: {outcome.Attack}");

    /// <summary>What is too much, in sentences; times only in the long form.</summary>
    public static IEnumerable<string> Problems(IReadOnlyList<Outcome> outcomes, double plainMs)
    {
        foreach (var outcome in outcomes)
        {
            var what = $"{outcome.Family}: {outcome.Attack}";
            if (outcome.HasCrashed)
            {
                yield return $"{what}: the server has ended";
            }
            else if (outcome.IsWrong)
            {
                yield return $"{what}: answered {outcome.Status}";
            }

            if (outcome.OverIdleMb > MostMb)
            {
                yield return string.Create(CultureInfo.InvariantCulture, $"{what}: {outcome.OverIdleMb:0} MB over idle; at most {MostMb} may be");
            }

            if (plainMs > 0 && outcome.WorkMs > MostPlains * plainMs)
            {
                yield return string.Create(CultureInfo.InvariantCulture,
                    $"{what}: worked on for {outcome.WorkMs:0} ms, {outcome.WorkMs / plainMs:0} times a plain photo; at most {MostPlains} may be");
            }

            if (plainMs > 0 && outcome.BesideMs > MostPlainsBeside * plainMs)
            {
                yield return string.Create(CultureInfo.InvariantCulture,
                    $"{what}: a small photo beside it took {outcome.BesideMs:0} ms, {outcome.BesideMs / plainMs:0} times a plain photo's work; "
                    + $"at most {MostPlainsBeside} may be");
            }
        }
    }

    /// <summary>A row for each family: of every figure the worst.</summary>
    public static string Table(IReadOnlyList<Outcome> outcomes, double plainMs)
    {
        var text = new StringBuilder();
        text.AppendLine("| Family | Inputs | Crashes | Wrong statuses | Work | × a plain photo | Until the answer | Memory over idle | A small photo beside |");
        text.AppendLine("|---|--:|--:|--:|--:|--:|--:|--:|--:|");
        foreach (var family in outcomes.GroupBy(outcome => outcome.Family))
        {
            text.AppendLine(CultureInfo.InvariantCulture,
                $"| {family.Key} | {family.Count()} | {family.Count(outcome => outcome.HasCrashed)} | {family.Count(outcome => outcome.IsWrong)} "
                + $"| {family.Max(outcome => outcome.WorkMs):0} ms | {(plainMs > 0 ? $"{family.Max(outcome => outcome.WorkMs) / plainMs:0.0}" : "–")} "
                + $"| {family.Max(outcome => outcome.Ms):0} ms | {family.Max(outcome => outcome.OverIdleMb):0} MB "
                + $"| {(plainMs > 0 ? $"{family.Max(outcome => outcome.BesideMs):0} ms" : "–")} |");
        }

        return text.ToString();
    }

    /// <summary>Puts text between the marks in <c>tests/README.md</c>.</summary>
    public static void Write(string text)
    {
        var path = Repository.PathOf("tests", "README.md");
        var document = File.ReadAllText(path);
        var (start, end) = (document.IndexOf(Start, StringComparison.Ordinal) + Start.Length, document.IndexOf(End, StringComparison.Ordinal));
        File.WriteAllText(path, $"{document[..start]}\n\n{text.ReplaceLineEndings("\n").TrimEnd()}\n\n{document[end..]}");
    }
}
