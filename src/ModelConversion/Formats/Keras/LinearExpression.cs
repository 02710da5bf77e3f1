using System.Globalization;

namespace Whatsit.ModelConversion.Formats.Keras;

/// <summary>What somebody says that a layer of Python code computes: a linear function of <c>x</c>, such as <c>x/127.5-1</c>, or <c>identity</c>.</summary>
internal ref struct LinearExpression
{
    private const int Longest = 100;

    private readonly string _text;
    private int _at;

    private LinearExpression(string text) => _text = text;

    /// <summary>Reads it as <c>factor · x + offset</c>.</summary>
    /// <exception cref="ModelFormatException">It is no such function.</exception>
    public static (double Factor, double Offset) Parse(string text)
    {
        if (text.Trim().Equals("identity", StringComparison.OrdinalIgnoreCase))
        {
            return (1, 0);
        }

        if (text.Length > Longest)
        {
            throw Wrong(text[..Longest]);
        }

        var expression = new LinearExpression(string.Concat(text.Where(letter => !char.IsWhiteSpace(letter))));
        var result = expression.Sum();
        return expression._at == expression._text.Length && double.IsFinite(result.Factor) && double.IsFinite(result.Offset) && result.Factor != 0
            ? result : throw Wrong(text);
    }

    private (double Factor, double Offset) Sum()
    {
        var left = Product();
        while (_at < _text.Length && _text[_at] is '+' or '-')
        {
            var sign = _text[_at++] == '+' ? 1 : -1;
            var right = Product();
            left = (left.Factor + (sign * right.Factor), left.Offset + (sign * right.Offset));
        }

        return left;
    }

    private (double Factor, double Offset) Product()
    {
        var left = Atom();
        while (_at < _text.Length && _text[_at] is '*' or '/')
        {
            var divides = _text[_at++] == '/';
            var right = Atom();
            if (right.Factor != 0 && (divides || left.Factor != 0))
            {
                throw Wrong(_text);
            }

            left = divides ? (left.Factor / right.Offset, left.Offset / right.Offset)
                : right.Factor == 0 ? (left.Factor * right.Offset, left.Offset * right.Offset)
                : (left.Offset * right.Factor, left.Offset * right.Offset);
        }

        return left;
    }

    private (double Factor, double Offset) Atom()
    {
        switch (_at < _text.Length ? _text[_at] : '\0')
        {
            case '-':
                _at++;
                var negated = Atom();
                return (-negated.Factor, -negated.Offset);
            case 'x' or 'X':
                _at++;
                return (1, 0);
            case '(':
                _at++;
                var inner = Sum();
                return _at < _text.Length && _text[_at++] == ')' ? inner : throw Wrong(_text);
            default:
                var start = _at;
                while (_at < _text.Length && (char.IsAsciiDigit(_text[_at]) || _text[_at] == '.'))
                {
                    _at++;
                }

                return double.TryParse(_text.AsSpan(start, _at - start), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number)
                    ? (0, number) : throw Wrong(_text);
        }
    }

    private static ModelFormatException Wrong(string text) =>
        new($"'{text}' is not understood as what a layer computes: identity, or a linear function of x such as x/255 or x/127.5-1.");
}
