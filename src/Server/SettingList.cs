using System.ComponentModel;
using System.Globalization;

namespace Whatsit.Server;

/// <summary>
/// A setting with several values: an array in <c>appsettings.json</c>, or one text with commas or spaces between them, as in an environment variable.
/// </summary>
[TypeConverter(typeof(FromText))]
public sealed class SettingList : List<string>
{
    /// <summary>Lists of the core, which knows nothing of configurations, are written in one text, too.</summary>
    public static void Register() => TypeDescriptor.AddAttributes(typeof(IReadOnlyList<string>), new TypeConverterAttribute(typeof(FromText)));

    private sealed class FromText : TypeConverter
    {
        public override bool CanConvertFrom(ITypeDescriptorContext? context, Type sourceType) => sourceType == typeof(string);

        public override object ConvertFrom(ITypeDescriptorContext? context, CultureInfo? culture, object value) =>
            new SettingList().With(((string)value).Split([',', ' ', ';'], StringSplitOptions.RemoveEmptyEntries));
    }

    private SettingList With(string[] values)
    {
        AddRange(values);
        return this;
    }
}
