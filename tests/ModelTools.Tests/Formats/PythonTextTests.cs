using Whatsit.ModelConversion.Formats;

namespace Whatsit.ModelTools.Tests.Formats;

/// <summary>Labels as exporters print them into a model's metadata.</summary>
public sealed class PythonTextTests
{
    [Theory]
    [InlineData("{0: 'tench', 1: \"bull's eye\"}", "tench|bull's eye")]
    [InlineData("{1: 'b', 0: 'a, with a comma'}", "a, with a comma|b")]
    [InlineData("['it\\'s', 'two']", "it's|two")]
    [InlineData("cat, dog", "cat|dog")]
    [InlineData("cat\ndog, brown", "cat|dog, brown")]
    [InlineData("[\"caf\\u00e9\", \"\\ud83d\\ude00\"]", "café|😀")]
    [InlineData("['caf\\xe9', 'a\\tb', 'c:\\\\d']", "café|a b|c:\\d")]
    [InlineData("['\\u00', '\\x']", "u00|x")]
    [InlineData("[cat:dog, :]", "cat:dog|:")]
    [InlineData("[:", ":")]
    public void Labels_are_read_as_they_were_meant(string text, string expected) => Assert.Equal(expected.Split('|'), PythonText.Labels(text));

    [Theory]
    [InlineData("{0: 'a', 2: 'c'}")]
    [InlineData("{99999999999: 'a'}")]
    [InlineData("{'a': 'b'}")]
    [InlineData("{:}")]
    public void What_numbers_no_labels_is_refused(string text) => Assert.Throws<FormatException>(() => PythonText.Labels(text));
}
