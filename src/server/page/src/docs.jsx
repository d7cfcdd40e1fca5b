// The API reference, read from the server's own description.
import { render } from 'preact';
import { Docs } from './reference.jsx';
import './style/page.css';

render(<Docs />, document.getElementById('page'));
