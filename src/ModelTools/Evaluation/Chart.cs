using System.Globalization;
using System.Net;
using System.Text;

namespace Whatsit.ModelTools.Evaluation;

/// <summary>An axis of a <see cref="Chart"/>.</summary>
/// <param name="Name">What is along it.</param>
/// <param name="From">The value where it begins.</param>
/// <param name="To">The value where it ends.</param>
/// <param name="Ticks">The values with a line, and what stands there.</param>
internal sealed record Axis(string Name, double From, double To, IReadOnlyList<(double Value, string Text)> Ticks)
{
    private const int Steps = 4;

    /// <summary>Shares, as percent.</summary>
    public static Axis Percent(string name, double from = 0) => new(name, from, 1,
        [.. Enumerable.Range(0, Steps + 1).Select(step => from + ((1 - from) * step / Steps)).Select(share => (share, Chart.Number(share * 100)))]);

    /// <summary>Whole numbers from 0.</summary>
    public static Axis Whole(string name, int to) => new(name, 0, to,
        [.. Enumerable.Range(0, to + 1).Where(number => number % Math.Max(1, (to + Steps) / (Steps + 1)) == 0)
            .Select(number => ((double)number, $"{number}"))]);

    /// <summary>Where a value lies, from 0 to 1.</summary>
    public double PlaceOf(double value) => (value - From) / (To - From);
}

/// <summary>A drawing between two axes, small enough for a phone's width.</summary>
internal sealed class Chart
{
    private const int Width = 340, Height = 240, Left = 58, Top = 12, Right = 14, Bottom = 50;

    private readonly Axis _x;
    private readonly Axis _y;
    private readonly StringBuilder _svg = new();

    /// <summary>Draws the axes.</summary>
    /// <param name="description">What is shown, for those who do not see it.</param>
    /// <param name="x">The axis to the right.</param>
    /// <param name="y">The axis upwards.</param>
    public Chart(string description, Axis x, Axis y)
    {
        (_x, _y) = (x, y);
        _svg.Append($"<svg class=\"chart\" viewBox=\"0 0 {Left + Width + Right} {Top + Height + Bottom}\" role=\"img\" ")
            .Append($"aria-label=\"{WebUtility.HtmlEncode(description)}\">\n");
        foreach ((var value, var text) in y.Ticks)
        {
            _svg.Append($"<path class=\"axis\" d=\"M{Left} {Y(value)}h{Width}\"/>")
                .Append($"<text x=\"{Left - 8}\" y=\"{Y(value)}\" dy=\".35em\" text-anchor=\"end\">{text}</text>\n");
        }

        foreach ((var value, var text) in x.Ticks)
        {
            _svg.Append($"<text x=\"{X(value)}\" y=\"{Top + Height + 18}\" text-anchor=\"middle\">{text}</text>\n");
        }

        _svg.Append($"<path class=\"base\" d=\"M{Left} {Top + Height}h{Width}\"/>")
            .Append($"<text class=\"title\" x=\"{Left + (Width / 2)}\" y=\"{Top + Height + 40}\" text-anchor=\"middle\">{WebUtility.HtmlEncode(x.Name)}</text>")
            .Append($"<text class=\"title\" transform=\"translate(14 {Top + (Height / 2)}) rotate(-90)\" text-anchor=\"middle\">")
            .Append($"{WebUtility.HtmlEncode(y.Name)}</text>\n");
    }

    /// <summary>Where a value is drawn, from the left.</summary>
    public string X(double value) => Number(Left + (Width * _x.PlaceOf(value)));

    /// <summary>Where a value is drawn, from the top.</summary>
    public string Y(double value) => Number(Top + (Height * (1 - _y.PlaceOf(value))));

    /// <summary>A line through points.</summary>
    public void Line(string kind, IEnumerable<(double X, double Y)> points) =>
        _svg.Append($"<polyline class=\"{kind}\" points=\"{string.Join(' ', points.Select(point => $"{X(point.X)},{Y(point.Y)}"))}\"/>\n");

    /// <summary>A point that says what it is; the one that was chosen has its name beside it.</summary>
    public void Point(double x, double y, string title, string? chosen = null)
    {
        _svg.Append($"<circle class=\"{(chosen is null ? "fill" : "chosen")}\" cx=\"{X(x)}\" cy=\"{Y(y)}\" r=\"{(chosen is null ? 5 : 7)}\">")
            .Append($"<title>{WebUtility.HtmlEncode(title)}</title></circle>\n");
        if (chosen is not null)
        {
            var (shift, anchor) = _x.PlaceOf(x) > 0.5 ? (-12, "end") : (12, "start");
            _svg.Append($"<text class=\"mark\" x=\"{X(x)}\" y=\"{Y(y)}\" dx=\"{shift}\" dy=\"1.3em\" text-anchor=\"{anchor}\">")
                .Append($"{WebUtility.HtmlEncode(chosen)}</text>\n");
        }
    }

    /// <summary>A bar from the ground up that says what it is.</summary>
    public void Bar(double from, double to, double height, double opacity, string title) =>
        _svg.Append($"<rect class=\"fill\" fill-opacity=\"{Number(opacity)}\" x=\"{Number(Left + (Width * _x.PlaceOf(from)) + 1)}\" y=\"{Y(height)}\" ")
            .Append($"width=\"{Number((Width * (_x.PlaceOf(to) - _x.PlaceOf(from))) - 2)}\" height=\"{Number(Math.Max(1, Height * _y.PlaceOf(height)))}\">")
            .Append($"<title>{WebUtility.HtmlEncode(title)}</title></rect>\n");

    /// <summary>A number as SVG wants it.</summary>
    public static string Number(double number) => number.ToString("0.###", CultureInfo.InvariantCulture);

    public override string ToString() => $"{_svg}</svg>\n";
}
