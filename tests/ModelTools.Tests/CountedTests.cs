using System.Text.RegularExpressions;
using Whatsit.Inference;
using Whatsit.ModelTools.Tests.Commands;

namespace Whatsit.ModelTools.Tests;

public sealed partial class CountedTests
{
    // Triton's sentence, word for word.
    private const string OfOthers = "expected 1 inputs but got";

    // What is counted somewhere and done elsewhere.
    private static readonly string[] Verbs = ["answers", "scales"];

    [Theory]
    [InlineData(0, "0 photos")]
    [InlineData(1, "1 photo")]
    [InlineData(1000, "1,000 photos")]
    public void One_thing_is_no_plural(int count, string said) => Assert.Equal(said, Counted.Of(count, "photo"));

    [Fact]
    public void Some_things_have_a_plural_of_their_own_and_some_counts_are_no_whole_numbers()
    {
        Assert.Equal("1 class", Counted.Of(1, "class", "classes"));
        Assert.Equal("2 classes", Counted.Of(2, "class", "classes"));
        Assert.Equal("0.5 seconds", Counted.Of(0.5, "second"));
        Assert.Equal("18,446,744,073,709,551,615 bytes", Counted.Of(ulong.MaxValue, "byte"));
    }

    /// <summary>Whatever is counted anywhere by <see cref="Counted"/> is so everywhere: the nouns are taken from the code.</summary>
    [Fact]
    public void No_sentence_has_a_number_before_a_plural_that_might_be_one()
    {
        var sources = Directory.EnumerateFiles(Path.Combine(WhatsitCommand.Root, "src"), "*.cs", SearchOption.AllDirectories)
            .Select(file => (Name: Path.GetFileName(file), Text: File.ReadAllText(file))).ToArray();
        var nouns = sources.SelectMany(source => Used().Matches(source.Text))
            .Select(use => use.Groups["several"] is { Success: true } several ? several.Value : use.Groups["thing"].Value + "s").Except(Verbs).ToHashSet();
        Assert.True(nouns.Count > 30, $"Only {nouns.Count} nouns were found in the code.");

        var plurals = sources.SelectMany(source => source.Text.Split('\n')
            .Where(line => line.Contains("$\"", StringComparison.Ordinal) && !line.Contains(OfOthers, StringComparison.Ordinal))
            .SelectMany(line => Plural().Matches(line)).Where(match => nouns.Contains(match.Groups["noun"].Value))
            .Select(match => $"{source.Name}: {match.Value}"));
        Assert.Empty(plurals);
    }

    [Theory]
    [InlineData("{photos.Count} photos", true)]
    [InlineData("{read / size:N0} photos", true)]
    [InlineData("{MostPhotos} photos", false)] // A constant.
    [InlineData("{rate:0.0} photos/s", false)]
    [InlineData("2^{bits} photos", false)]
    [InlineData("Given is not { } photos", false)]
    public void What_is_looked_for_is_found(string text, bool found) => Assert.Equal(found, Plural().IsMatch(text));

    [GeneratedRegex(@"Counted\.Of\((?:[^""()]|\([^()]*\))+, ""(?<thing>[^""]+)""(?:, ""(?<several>[^""]+)"")?\)")]
    private static partial Regex Used();

    [GeneratedRegex(@"(?<!\^)\{(?!\s|(?:[A-Z]\w*\.)*(?:Most|Max|Least|Fewest|Smallest|Largest|Longest|Neighbours)\w*[:}])[^{}""]+\} (?<noun>[a-z]+)\b(?!/)")]
    private static partial Regex Plural();
}
